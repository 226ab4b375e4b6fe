//! `gettransactionheight` and `getrawtransaction`: whether and where a transaction is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nsl_neo::{Hash256, Transaction};
use serde_json::json;

use crate::client::Client;
use crate::error::{Error, none_if_unknown};

/// NEP-23: unknown transaction.
const UNKNOWN_CODES: [i64; 1] = [-103];

impl Client {
    /// Asks for the height of the block that holds a transaction; `None` while none does.
    pub async fn transaction_height(&self, hash: Hash256) -> Result<Option<u32>, Error> {
        none_if_unknown(self.call("gettransactionheight", json!([hash])).await, &UNKNOWN_CODES)
    }

    /// Asks for a transaction in a block or in the pool; `None` when the node has none with this hash.
    pub async fn raw_transaction(&self, hash: Hash256) -> Result<Option<Transaction>, Error> {
        let method = "getrawtransaction";
        let answer = self.call::<String>(method, json!([hash, 0])).await;
        let Some(text) = none_if_unknown(answer, &UNKNOWN_CODES)? else { return Ok(None) };
        let bytes = STANDARD.decode(text).map_err(|error| Error::malformed(method, &error.to_string()))?;
        let transaction =
            Transaction::from_bytes(&bytes).map_err(|error| Error::malformed(method, &error.to_string()))?;
        if transaction.hash() != hash {
            return Err(Error::malformed(method, "the transaction has another hash than the one asked for"));
        }
        Ok(Some(transaction))
    }
}
