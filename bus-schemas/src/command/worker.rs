//! Commands of a `worker`: one life of an enclave-worker process.

use serde::{Deserialize, Serialize};

use super::commands;
use crate::bytes::Base64;
use crate::nkey::PublicKey;

commands! {
    /// What a worker may be asked.
    WorkerCommand {
        /// Enter the pool of registered workers.
        Register = "register",
    }
}

/// `register`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Register {
    /// The key that signs the worker's outcomes; the attestation document carries it as `public_key`.
    pub key: PublicKey,
    /// A COSE_Sign1 attestation document whose PCRs are an allowed build's and whose PCR16 commits to the manifest.
    pub attestation: Base64,
}
