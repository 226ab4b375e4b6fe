//! Events of a `worker`.

use serde::{Deserialize, Serialize};

use super::events;
use crate::bytes::{Base64, Pcr};
use crate::nkey::PublicKey;

events! {
    /// What happened to a worker.
    WorkerEvent of "worker" {
        /// It may report outcomes.
        WorkerRegistered = "worker-registered",
    }
}

/// `worker-registered`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WorkerRegistered {
    /// The key that signs its outcomes.
    pub key: PublicKey,
    /// The measured image.
    pub pcr0: Pcr,
    /// The document's own time, Unix ms.
    #[serde(deserialize_with = "crate::number::below_2_pow_53")]
    pub attested_at_ms: u64,
    /// The document that was judged.
    pub attestation: Base64,
}
