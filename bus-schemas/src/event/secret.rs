//! Events of a `secret`.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::events;
use super::wallet::{OutcomeProof, Refusal};
use crate::authority::Signed;
use crate::bytes::{Base64, Sha256};
use crate::number::UnixMs;
use crate::outcome::SealedKey;
use crate::secret::{SecretDestruction, SecretPolicy, SecretReading};

events! {
    /// What happened to a secret.
    SecretEvent of "secret" {
        /// A client stored a version; a worker shall seal it.
        StoreRequested = "store-requested",
        /// The owners asked for another policy; a worker shall seal the secret under it.
        ReadersChangeRequested = "readers-change-requested",
        /// Readers asked for a version; a worker shall seal it to their key.
        RevealRequested = "reveal-requested",
        /// A version is sealed and in force.
        Sealed = "sealed",
        /// A version was sealed to its readers' key.
        Revealed = "revealed",
        /// A worker would not do what was asked; nothing changed.
        RequestRefused = "request-refused",
        /// A request ended without a worker's answer, and none is taken any more.
        RequestEnded = "request-ended",
        /// The owners ended the secret; nobody is given it any more.
        Destroyed = "destroyed",
    }
}

/// `store-requested`. The ciphertext is in the command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StoreRequested {
    /// Until then a worker may answer.
    pub answer_by_ms: UnixMs,
    /// Who decides and who reads.
    pub policy: SecretPolicy,
    /// The command.
    pub request_id: Uuid,
    /// Its hash, which the outcome must name.
    pub request_sha256: Sha256,
    /// The version that it becomes.
    pub version: u32,
}

/// `readers-change-requested`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReadersChangeRequested {
    /// Until then a worker may answer.
    pub answer_by_ms: UnixMs,
    /// The policy that shall begin.
    pub policy: SecretPolicy,
    /// The command.
    pub request_id: Uuid,
    /// Its hash, which the outcome must name.
    pub request_sha256: Sha256,
    /// The version that it becomes.
    pub version: u32,
}

/// `reveal-requested`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RevealRequested {
    /// Until then a worker may answer.
    pub answer_by_ms: UnixMs,
    /// What the readers signed.
    pub reading: Signed<SecretReading>,
    /// The command.
    pub request_id: Uuid,
    /// Its hash, which the outcome must name.
    pub request_sha256: Sha256,
}

/// `sealed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Sealed {
    /// The worker's proof.
    pub outcome: OutcomeProof,
    /// The policy in force.
    pub policy: SecretPolicy,
    /// The command that asked.
    pub request_id: Uuid,
    /// The padded secret, sealed.
    pub sealed_secret: SealedKey,
}

/// `revealed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Revealed {
    /// Proves that an attested worker sealed the message.
    pub document: Base64,
    /// The padded secret, sealed to the key in the reading.
    pub message: Base64,
    /// The worker's proof.
    pub outcome: OutcomeProof,
    /// The command that asked.
    pub request_id: Uuid,
}

/// `request-refused`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RequestRefused {
    /// Why.
    pub refusal: Refusal,
    /// The command that asked.
    pub request_id: Uuid,
}

/// `request-ended`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RequestEnded {
    /// Why.
    pub cause: EndCause,
    /// The command that asked.
    pub request_id: Uuid,
}

/// Why a request ended without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum EndCause {
    /// No worker answered in time.
    Expired,
    /// The secret was destroyed.
    Destroyed,
}

/// `destroyed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Destroyed {
    /// What the owners signed.
    pub destruction: Signed<SecretDestruction>,
    /// The command that asked.
    pub request_id: Uuid,
}
