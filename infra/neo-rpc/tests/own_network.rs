//! A network of our own: its committee is a fresh key, its node runs on a wallet file that we wrote.
//!
//! Needs `NSL_TEST_NEOGO`, the path of a `neogo` binary. Without it the tests pass and say that they did
//! nothing.

#![allow(clippy::unwrap_used, reason = "in a test a failed step is the finding")]

use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nsl_neo::nep2::ScryptParameters;
use nsl_neo::nep6::Wallet;
use nsl_neo::script::{Argument, CallFlags, ScriptBuilder};
use nsl_neo::{
    Account, Multisig, PrivateKey, PublicKey, Signer, Transaction, TransactionFields, UnsignedTransaction,
    Witness, native,
};
use nsl_neo_rpc::{Client, Submission, VmState};
use tempfile::TempDir;
use zeroize::Zeroizing;

const PASSPHRASE: &str = "pässword";
const MAGIC: u32 = 77_770_001;

/// A running node, killed on drop.
struct Network {
    client: Client,
    key: PrivateKey,
    committee: Multisig,
    node: Child,
    _folder: TempDir,
}

impl Network {
    /// Starts a node and waits until it has signed blocks, or says why it does not.
    async fn start() -> Option<Self> {
        let Ok(neogo) = std::env::var("NSL_TEST_NEOGO") else {
            // Written past the test harness, which hides the output of passing tests.
            let mut stderr = std::io::stderr();
            writeln!(stderr, "SKIPPED: NSL_TEST_NEOGO is not set, so no Neo node was started").unwrap();
            return None;
        };
        let mut secret = Zeroizing::new([0; 32]);
        aws_lc_rs::rand::fill(secret.as_mut_slice()).unwrap();
        let key = PrivateKey::from_bytes(secret).unwrap();
        let committee = Multisig::new(1, vec![key.public_key()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        write_wallet(&folder.path().join("wallet.json"), &key, &committee);
        std::fs::write(folder.path().join("protocol.yml"), protocol(key.public_key(), port)).unwrap();

        let mut command = Command::new(neogo);
        command.args(["node", "--config-file", "protocol.yml", "--relative-path", "."]);
        command.current_dir(folder.path()).stdout(Stdio::null()).stderr(Stdio::inherit());
        let node = command.spawn().unwrap();
        let client = Client::new(&format!("http://127.0.0.1:{port}"), Duration::from_secs(5)).unwrap();
        let mut network = Self { client, key, committee, node, _folder: folder };
        // Genesis is block 0 and unsigned; two more need the key from our file.
        network.reach(3).await;
        Some(network)
    }

    async fn reach(&mut self, block_count: u32) {
        let deadline = Instant::now() + Duration::from_mins(1);
        while self.client.block_count().await.unwrap_or(0) < block_count {
            assert!(self.node.try_wait().unwrap().is_none(), "the node ended");
            assert!(Instant::now() < deadline, "the node made no blocks");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Calls a method of the Policy contract as the committee and waits until it took effect.
    async fn set_policy(&mut self, setter: &str, value: i128) {
        let account = Account::Multisig(self.committee.clone());
        let mut script = ScriptBuilder::new();
        script.call_contract(native::POLICY, setter, CallFlags::ALL, &[Argument::Integer(value)]);
        let mut fields = TransactionFields {
            nonce: 1,
            system_fee_datoshi: 0,
            network_fee_datoshi: 0,
            valid_until_block: self.client.block_count().await.unwrap() + 100,
            signers: vec![Signer::called_by_entry(account.script_hash())],
            attributes: vec![],
            script: script.finish().unwrap(),
        };
        let dry_run = self.client.invoke_script(&fields.script, &fields.signers).await.unwrap();
        assert_eq!(dry_run.state, VmState::Halt, "{setter}: {dry_run:?}");
        fields.system_fee_datoshi = dry_run.gas_consumed_datoshi;
        let policy = self.client.fee_policy().await.unwrap();
        let unpriced = UnsignedTransaction::new(fields.clone()).unwrap();
        fields.network_fee_datoshi = policy.network_fee_datoshi(&unpriced, &[account]).unwrap();
        let unsigned = UnsignedTransaction::new(fields).unwrap();
        let signature = self.key.sign(&unsigned.sign_data(MAGIC)).unwrap();
        let witness = self.committee.witness(&[(self.key.public_key(), signature)]).unwrap();
        let transaction = Transaction::new(unsigned, vec![witness]).unwrap();
        let submission = self.client.send_raw_transaction(&transaction).await.unwrap();
        assert_eq!(submission, Submission::Accepted);
        while self.client.transaction_height(transaction.hash()).await.unwrap().is_none() {
            let next = self.client.block_count().await.unwrap() + 1;
            self.reach(next).await;
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = self.node.kill();
        let _ = self.node.wait();
    }
}

fn write_wallet(path: &Path, key: &PrivateKey, committee: &Multisig) {
    let mut wallet = Wallet::new(Some("consensus".to_owned()), ScryptParameters::STANDARD);
    wallet.add(&Account::SingleSignature(key.public_key()), key, PASSPHRASE).unwrap();
    wallet.add(&Account::Multisig(committee.clone()), key, PASSPHRASE).unwrap();
    std::fs::write(path, wallet.to_json().unwrap()).unwrap();
}

fn protocol(key: PublicKey, rpc_port: u16) -> String {
    format!(
        "ProtocolConfiguration:
  Magic: {MAGIC}
  MaxTraceableBlocks: 200000
  TimePerBlock: 100ms
  Genesis: {{TimePerBlock: 100ms}}
  MemPoolSize: 5000
  StandbyCommittee: [{key}]
  ValidatorsCount: 1
  VerifyTransactions: true
ApplicationConfiguration:
  LogLevel: warn
  DBConfiguration: {{Type: inmemory}}
  P2P:
    Addresses: [\"127.0.0.1:0\"]
    DialTimeout: 3s
    ProtoTickInterval: 2s
    MinPeers: 0
    MaxPeers: 10
    AttemptConnPeers: 5
  Relay: true
  Consensus: {{Enabled: true, UnlockWallet: {{Path: wallet.json, Password: {PASSPHRASE}}}}}
  RPC: {{Enabled: true, Addresses: [\"127.0.0.1:{rpc_port}\"], MaxGasInvoke: 100}}
"
    )
}

#[tokio::test]
async fn a_node_signs_blocks_with_a_wallet_that_we_wrote() {
    let Some(network) = Network::start().await else { return };
    let account = Account::Multisig(network.committee.clone());
    let balances = network.client.nep17_balances(account.address()).await.unwrap();
    let neo = balances.iter().find(|balance| balance.asset == native::NEO).map(|balance| balance.amount);
    assert_eq!(neo, Some(100_000_000), "the committee's account by our reckoning holds all NEO");
}

#[tokio::test]
async fn fees_follow_the_policy_contract_and_round_as_the_node_does() {
    let Some(mut network) = Network::start().await else { return };
    network.set_policy("setFeePerByte", 1_234).await;
    // Each witness then costs a broken number of datoshi, and rounding their sum would give another fee.
    network.set_policy("setExecFeeFactor", 333_331).await;
    let policy = network.client.fee_policy().await.unwrap();
    assert_eq!((policy.fee_per_byte_datoshi, policy.exec_fee_factor_pico), (1_234, 333_331));

    let accounts =
        [Account::SingleSignature(network.key.public_key()), Account::Multisig(network.committee.clone())];
    let unsigned = UnsignedTransaction::new(TransactionFields {
        nonce: 1,
        system_fee_datoshi: 0,
        network_fee_datoshi: 0,
        valid_until_block: network.client.block_count().await.unwrap() + 100,
        signers: accounts.iter().map(|account| Signer::called_by_entry(account.script_hash())).collect(),
        attributes: vec![],
        script: vec![0x11],
    })
    .unwrap();
    let local = policy.network_fee_datoshi(&unsigned, &accounts).unwrap();
    let witnesses = accounts
        .iter()
        .map(|account| Witness { invocation: vec![], verification: account.verification_script() })
        .collect();
    let template = Transaction::new(unsigned, witnesses).unwrap();
    assert_eq!(local, network.client.calculate_network_fee_datoshi(&template).await.unwrap());
}
