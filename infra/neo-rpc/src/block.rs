//! `getblockcount` and `getblock`: the chain's height and what a block holds.

use nsl_neo::Hash256;
use serde::Deserialize;
use serde_json::json;

use crate::client::Client;
use crate::error::{Error, none_if_unknown};

/// NEP-23: unknown block, unknown height.
const UNKNOWN_CODES: [i64; 2] = [-101, -109];

/// A block's header fields and the hashes of its transactions, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The block's hash.
    pub hash: Hash256,
    /// The block's height.
    pub index: u32,
    /// The hash of the block before.
    pub previous_hash: Hash256,
    /// When it was proposed, in milliseconds since 1970.
    pub timestamp_ms: u64,
    /// Its transactions.
    pub transaction_hashes: Vec<Hash256>,
}

#[derive(Deserialize)]
struct Answer {
    hash: Hash256,
    index: u32,
    previousblockhash: Hash256,
    time: u64,
    #[serde(default)]
    tx: Vec<BlockTransaction>,
}

#[derive(Deserialize)]
struct BlockTransaction {
    hash: Hash256,
}

impl Client {
    /// Asks for the number of blocks: one more than the height.
    pub async fn block_count(&self) -> Result<u32, Error> {
        self.call("getblockcount", json!([])).await
    }

    /// Asks for the block at a height; `None` when the node has none there yet.
    pub async fn block(&self, index: u32) -> Result<Option<Block>, Error> {
        let answer = self.call::<Answer>("getblock", json!([index, 1])).await;
        Ok(none_if_unknown(answer, &UNKNOWN_CODES)?.map(|answer| Block {
            hash: answer.hash,
            index: answer.index,
            previous_hash: answer.previousblockhash,
            timestamp_ms: answer.time,
            transaction_hashes: answer.tx.into_iter().map(|transaction| transaction.hash).collect(),
        }))
    }
}
