//! `sendrawtransaction`: hand a transaction to the network.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nsl_neo::{Hash256, Transaction};
use serde::Deserialize;
use serde_json::json;

use crate::client::Client;
use crate::error::Error;

mod code {
    /// NEP-23: on the chain already.
    pub(super) const ALREADY_EXISTS: i64 = -501;
    /// NEP-23: the pool of waiting transactions is full.
    pub(super) const POOL_FULL: i64 = -502;
    /// NEP-23: waiting already.
    pub(super) const ALREADY_IN_POOL: i64 = -503;
    /// NEP-23: the lowest and highest code of a verification that failed.
    pub(super) const VERIFICATION_LOWEST: i64 = -512;
    pub(super) const VERIFICATION_HIGHEST: i64 = -500;
}

/// What a node did with a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Submission {
    /// It took it and passes it on.
    Accepted,
    /// It has it already: an earlier submission arrived.
    AlreadyKnown(KnownWhere),
    /// It has no room now; the transaction itself was not judged.
    PoolFull,
    /// It refuses it.
    Rejected {
        /// The node's code (NEP-23).
        code: i64,
        /// The node's words.
        message: String,
    },
}

/// Where a known transaction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KnownWhere {
    /// In a block.
    Chain,
    /// In the pool of waiting transactions.
    Pool,
}

#[derive(Deserialize)]
struct Answer {
    hash: Hash256,
}

impl Client {
    /// Submits a transaction. After an error it is not known whether the node has it: submit it again.
    pub async fn send_raw_transaction(&self, transaction: &Transaction) -> Result<Submission, Error> {
        let method = "sendrawtransaction";
        let params = json!([STANDARD.encode(transaction.to_bytes())]);
        match self.call::<Answer>(method, params).await {
            Ok(answer) if answer.hash == transaction.hash() => Ok(Submission::Accepted),
            Ok(_) => Err(Error::malformed(method, "the node names another hash than the transaction's")),
            Err(Error::Rpc { code, message, .. }) if is_verdict(code) => Ok(verdict(code, message)),
            Err(error) => Err(error),
        }
    }
}

fn is_verdict(code: i64) -> bool {
    (code::VERIFICATION_LOWEST..=code::VERIFICATION_HIGHEST).contains(&code)
}

fn verdict(code: i64, message: String) -> Submission {
    match code {
        code::ALREADY_EXISTS => Submission::AlreadyKnown(KnownWhere::Chain),
        code::ALREADY_IN_POOL => Submission::AlreadyKnown(KnownWhere::Pool),
        code::POOL_FULL => Submission::PoolFull,
        _ => Submission::Rejected { code, message },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_verification_are_verdicts_and_others_are_errors() {
        let rejected = |code| Submission::Rejected { code, message: "why".to_owned() };
        for (code, expected) in [
            (-500, rejected(-500)),
            (-501, Submission::AlreadyKnown(KnownWhere::Chain)),
            (-502, Submission::PoolFull),
            (-503, Submission::AlreadyKnown(KnownWhere::Pool)),
            (-504, rejected(-504)),
            (-512, rejected(-512)),
        ] {
            assert!(is_verdict(code), "{code}");
            assert_eq!(verdict(code, "why".to_owned()), expected);
        }
        for code in [-499, -513, -32_603, 0, 501] {
            assert!(!is_verdict(code), "{code}");
        }
    }
}
