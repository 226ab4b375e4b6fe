//! `getnep17balances`: the tokens of an account.

use nsl_neo::{Address, Hash160};
use serde::Deserialize;
use serde_json::json;

use crate::client::Client;
use crate::decimal;
use crate::error::Error;

/// How much of a token an account has.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Nep17Balance {
    /// The token's contract.
    #[serde(rename = "assethash")]
    pub asset: Hash160,
    /// Smallest units of the token.
    #[serde(with = "decimal")]
    pub amount: u128,
    /// The height at which the balance last changed.
    #[serde(rename = "lastupdatedblock")]
    pub last_updated_block: u32,
}

#[derive(Deserialize)]
struct Answer {
    balance: Vec<Nep17Balance>,
}

impl Client {
    /// Asks for the balances of an account; tokens that it never had are absent.
    pub async fn nep17_balances(&self, address: Address) -> Result<Vec<Nep17Balance>, Error> {
        let answer: Answer = self.call("getnep17balances", json!([address])).await?;
        Ok(answer.balance)
    }
}
