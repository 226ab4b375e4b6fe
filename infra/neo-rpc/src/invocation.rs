//! `invokescript`: a dry run, whose gas is the system fee.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nsl_neo::Signer;
use serde::Deserialize;
use serde_json::json;

use crate::client::Client;
use crate::decimal;
use crate::error::Error;
use crate::signer_json::signers_json;
use crate::stack_item::StackItem;

/// How an execution ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum VmState {
    /// It ran to its end.
    Halt,
    /// It was refused or failed; its effects are undone.
    Fault,
}

/// The outcome of a dry run.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Invocation {
    /// How it ended.
    pub state: VmState,
    /// What it cost: the system fee that the transaction needs.
    #[serde(rename = "gasconsumed", with = "decimal")]
    pub gas_consumed_datoshi: i64,
    /// Why it failed.
    #[serde(default)]
    pub exception: Option<String>,
    /// What it left, the topmost value last.
    #[serde(default)]
    pub stack: Vec<StackItem>,
}

impl Client {
    /// Runs a script as if these accounts had signed it; nothing is changed.
    pub async fn invoke_script(&self, script: &[u8], signers: &[Signer]) -> Result<Invocation, Error> {
        self.call("invokescript", json!([STANDARD.encode(script), signers_json(signers)])).await
    }
}
