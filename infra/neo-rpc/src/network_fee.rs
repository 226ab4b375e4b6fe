//! `calculatenetworkfee`: the node's own network fee.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nsl_neo::Transaction;
use serde::Deserialize;
use serde_json::json;

use crate::client::Client;
use crate::decimal;
use crate::error::Error;

#[derive(Deserialize)]
struct Answer {
    #[serde(with = "decimal")]
    networkfee: i64,
}

impl Client {
    /// Asks for the network fee of a transaction whose witnesses have their verification scripts; invocation
    /// scripts may be empty.
    pub async fn calculate_network_fee_datoshi(&self, transaction: &Transaction) -> Result<i64, Error> {
        let params = json!([STANDARD.encode(transaction.to_bytes())]);
        let answer: Answer = self.call("calculatenetworkfee", params).await?;
        Ok(answer.networkfee)
    }
}
