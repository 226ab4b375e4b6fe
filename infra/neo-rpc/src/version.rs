//! `getversion`: which network and which rules.

use serde::Deserialize;
use serde_json::json;

use crate::client::Client;
use crate::error::Error;

/// What a node says about itself and its network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The node's software.
    pub user_agent: String,
    /// The number that signatures bind to.
    pub network_magic: u32,
    /// The version byte of addresses.
    pub address_version: u8,
    /// Time between blocks at genesis.
    pub block_interval_ms: u32,
    /// How far ahead of the height a transaction may be valid.
    pub max_valid_until_block_increment: u32,
}

#[derive(Deserialize)]
struct Answer {
    useragent: String,
    protocol: Protocol,
}

#[derive(Deserialize)]
struct Protocol {
    network: u32,
    addressversion: u8,
    msperblock: u32,
    maxvaliduntilblockincrement: u32,
}

impl Client {
    /// Asks which network and which rules the node serves.
    pub async fn version(&self) -> Result<Version, Error> {
        let Answer { useragent, protocol } = self.call("getversion", json!([])).await?;
        Ok(Version {
            user_agent: useragent,
            network_magic: protocol.network,
            address_version: protocol.addressversion,
            block_interval_ms: protocol.msperblock,
            max_valid_until_block_increment: protocol.maxvaliduntilblockincrement,
        })
    }
}
