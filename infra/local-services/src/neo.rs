//! A private Neo N3 network of one node, blocks every 200 ms, kept on disk.

use std::path::Path;

use serde_json::{Value, json};

use crate::installation::Installation;
use crate::probe::Readiness;
use crate::process::{Specification, StopSignal};
use crate::site::SiteDirectory;

/// Magic number of the private network; main and test net have others, so a signature made for this one is
/// worth nothing there.
pub const NETWORK_MAGIC: u32 = 5_195_086;
const BLOCK_INTERVAL: &str = "200ms";
/// The consensus node's key, published in the node's own tests: it guards play money on loopback only. Its
/// one-of-one multisignature account NfgHwwTi3wHAS8aFAN243C5vGbkYDpqLHP owns everything at genesis.
const CONSENSUS_PUBLIC_KEY: &str = "02b3622bf4017bdfe317c58aed5f4c753f206b7db896046fa7d774bbc4bf7f8dc2";
const CONSENSUS_ENCRYPTED_KEY: &str = "6PYM8VdX3hY4B51UJxmm8D41RQMbpJT8aYHibyQ67gjkUPmvQgu51Y5UQR";
const CONSENSUS_WALLET_PASSWORD: &str = "one";

/// Where the node listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeoEndpoint {
    /// Loopback port of JSON-RPC.
    pub port: u16,
}

impl NeoEndpoint {
    /// URL of the JSON-RPC interface.
    pub fn rpc_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// URL of the notification stream.
    pub fn websocket_url(&self) -> String {
        format!("ws://127.0.0.1:{}/ws", self.port)
    }
}

/// The node's configuration file. JSON is a subset of its format.
pub(crate) fn configuration(endpoint: &NeoEndpoint, wallet: &Path, directory: &SiteDirectory) -> String {
    let configuration = json!({
        "ProtocolConfiguration": {
            "Magic": NETWORK_MAGIC,
            "MaxTraceableBlocks": 200_000,
            "TimePerBlock": BLOCK_INTERVAL,
            // The Policy contract's value counts from the Echidna fork on, and it is set here.
            "Genesis": { "TimePerBlock": BLOCK_INTERVAL },
            "MemPoolSize": 5000,
            "StandbyCommittee": [CONSENSUS_PUBLIC_KEY],
            "ValidatorsCount": 1,
            "VerifyTransactions": true,
        },
        "ApplicationConfiguration": {
            // `info` writes two lines a block: 800,000 a day.
            "LogLevel": "warn",
            "DBConfiguration": {
                "Type": "leveldb",
                "LevelDBOptions": { "DataDirectoryPath": directory.neo().join("chain") },
            },
            "P2P": {
                "Addresses": ["127.0.0.1:0"], "DialTimeout": "3s", "ProtoTickInterval": "2s",
                "MinPeers": 0, "MaxPeers": 10, "AttemptConnPeers": 5,
            },
            "Relay": true,
            "Consensus": {
                "Enabled": true,
                "UnlockWallet": { "Path": wallet, "Password": CONSENSUS_WALLET_PASSWORD },
            },
            "RPC": {
                "Enabled": true,
                "Addresses": [format!("127.0.0.1:{}", endpoint.port)],
                "MaxGasInvoke": 100,
                "SessionEnabled": true,
                "SessionLifetime": "30s",
                "MempoolSubscriptionsEnabled": true,
            },
        },
    });
    format!("{configuration:#}\n")
}

/// The consensus node's NEP-6 wallet: the key's own account and its one-of-one multisignature account.
pub(crate) fn consensus_wallet() -> String {
    let account = |address: &str, script: &str| {
        json!({
            "address": address, "key": CONSENSUS_ENCRYPTED_KEY, "label": "", "isDefault": false, "lock": false,
            "contract": { "script": script, "parameters": [parameter()], "deployed": false },
            "extra": null,
        })
    };
    let single = "DCECs2Ir9AF73+MXxYrtX0x1PyBrfbiWBG+n13S7xL9/jcJBVuezJw==";
    let multiple = "EQwhArNiK/QBe9/jF8WK7V9MdT8ga324lgRvp9d0u8S/f43CEUGe0Nw6";
    let wallet = json!({
        "version": "1.0",
        // The smallest cost, as the key is public: the node starts at once.
        "scrypt": { "n": 2, "r": 1, "p": 1 },
        "accounts": [
            account("Nhfg3TbpwogLvDGVvAvqyThbsHgoSUKwtn", single),
            account("NfgHwwTi3wHAS8aFAN243C5vGbkYDpqLHP", multiple),
        ],
        "extra": { "Tokens": null },
    });
    format!("{wallet:#}\n")
}

fn parameter() -> Value {
    json!({ "name": "parameter0", "type": "Signature" })
}

/// How the node is started with the configuration file.
pub(crate) fn specification(
    installation: &Installation,
    endpoint: &NeoEndpoint,
    configuration: &Path,
    directory: &SiteDirectory,
) -> Specification {
    Specification {
        name: "neo".into(),
        program: installation.program.clone(),
        arguments: vec!["node".into(), "--config-file".into(), configuration.into()],
        environment: Vec::new(),
        working_directory: directory.neo(),
        stop_signal: StopSignal::Terminate,
        readiness: Readiness::JsonRpc { port: endpoint.port, method: "getblockcount" },
    }
}
