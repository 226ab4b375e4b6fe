//! `getapplicationlog`: how a transaction's execution ended.

use nsl_neo::{Hash160, Hash256};
use serde::Deserialize;
use serde_json::json;

use crate::client::Client;
use crate::decimal;
use crate::error::{Error, none_if_unknown};
use crate::invocation::VmState;
use crate::stack_item::StackItem;

/// NEP-23: unknown transaction, unknown script container.
const UNKNOWN_CODES: [i64; 2] = [-103, -105];

/// What happened when a transaction ran in its block.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ApplicationLog {
    /// Its runs; a transaction has one.
    pub executions: Vec<Execution>,
}

/// One run of a script.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Execution {
    /// How it ended.
    #[serde(rename = "vmstate")]
    pub state: VmState,
    /// What it cost.
    #[serde(rename = "gasconsumed", with = "decimal")]
    pub gas_consumed_datoshi: i64,
    /// Why it failed.
    #[serde(default)]
    pub exception: Option<String>,
    /// What contracts announced, in order.
    #[serde(default)]
    pub notifications: Vec<Notification>,
}

/// An announcement of a contract, such as `Transfer`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Notification {
    /// The contract.
    pub contract: Hash160,
    /// The announcement's name.
    #[serde(rename = "eventname")]
    pub event_name: String,
    /// Its values.
    pub state: StackItem,
}

impl Client {
    /// Asks how a transaction ended; `None` while it is in no block that the node knows.
    pub async fn application_log(&self, hash: Hash256) -> Result<Option<ApplicationLog>, Error> {
        none_if_unknown(self.call("getapplicationlog", json!([hash])).await, &UNKNOWN_CODES)
    }
}
