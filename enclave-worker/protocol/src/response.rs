//! What a worker answers, as canonical JSON in one message of the channel, which bounds its size.

use nsl_schemas::authority::Signed;
use nsl_schemas::bytes::{Base64, Sha256};
use nsl_schemas::canonical;
use nsl_schemas::nkey::PublicKey;
use nsl_schemas::outcome::SignedOutcome;
use nsl_schemas::pool_view::EndorsementStatement;
use nsl_schemas::sealing::{SealingAnswer, SealingKeyName};
use nsl_schemas::secret::PoolKey;
use serde::{Deserialize, Serialize};

use crate::pool_view::PoolAnswer;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "response", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Response {
    /// To `describe`.
    Description {
        /// What the worker says of itself.
        description: Description,
    },
    /// To `register`.
    Registration {
        /// The key that signs the worker's outcomes; the document carries it as `public_key`.
        key: PublicKey,
        /// A COSE_Sign1 attestation document that answers the nonce.
        attestation: Base64,
    },
    /// To `pool-key`.
    PoolKey {
        /// The key, attested.
        pool_key: Box<PoolKey>,
    },
    /// To `follow`: how far the worker is.
    Following {
        /// Of the last act that it was shown.
        sequence: u32,
        /// That act's hash, or the manifest's.
        head_sha256: Sha256,
    },
    /// To `perform`: done or refused, in either case signed.
    Outcome {
        /// What became of the job.
        outcome: Box<SignedOutcome>,
    },
    /// To `sealing`.
    Sealing {
        /// The answer.
        answer: Box<SealingAnswer>,
    },
    /// To `endorse` and `recall`.
    Endorsed {
        /// By this worker alone.
        endorsement: Box<Signed<EndorsementStatement>>,
    },
    /// To `pool`.
    Pool {
        /// The answer.
        answer: Box<PoolAnswer>,
    },
    /// Nothing was done.
    Error {
        /// A stable code, see `nsl_schemas::errors`.
        code: String,
        /// What happened.
        message: String,
    },
}

/// What a worker says of itself, unproven; for logs and for noticing a mixed-up configuration early.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// The version of its code.
    pub version: String,
    /// Its NSM's module.
    pub module_id: String,
    /// The manifest that it obeys.
    pub genesis_sha256: Sha256,
    /// The sealing keys that it opens keys with, oldest first; workers of one pool share them. A worker without any
    /// waits for its custodians.
    pub sealing_keys: Vec<SealingKeyName>,
}

impl Response {
    /// The answer as it is sent.
    pub fn to_bytes(&self) -> Vec<u8> {
        canonical::to_string(self).into_bytes()
    }

    /// Reads an answer; nesting is bounded as for every payload.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, canonical::Error> {
        canonical::from_slice(bytes)
    }
}

#[cfg(test)]
mod tests {
    use nsl_schemas::nkey::SigningKey;
    use nsl_schemas::outcome::JobResult;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn answers_come_back_as_they_were_sent() {
        let key = SigningKey::from_seed(&[1; 32]);
        let refused = JobResult::Refused { code: "worker_state_invalid".into(), message: "no".into() };
        let outcome = SignedOutcome::sign(&key, Uuid::from_u128(1), Sha256([2; 32]), refused, None);
        let description = Description {
            version: "1".into(),
            module_id: "i-1".into(),
            genesis_sha256: Sha256([3; 32]),
            sealing_keys: vec![SealingKeyName { epoch: 1, key_id: "00".into() }],
        };
        for response in [
            Response::Description { description },
            Response::Registration { key: key.public(), attestation: Base64(vec![4; 100]) },
            Response::Following { sequence: 7, head_sha256: Sha256([5; 32]) },
            Response::Outcome { outcome: Box::new(outcome) },
            Response::Error { code: "unavailable".into(), message: "nsm".into() },
        ] {
            assert_eq!(Response::from_bytes(&response.to_bytes()).unwrap(), response);
        }
    }
}
