//! Commands of a `secret`: bytes that only enclaves and their readers see.

use serde::{Deserialize, Serialize};

use super::commands;
pub use super::wallet::{ExpireRequest, RecordOutcome};
use crate::authority::Signed;
use crate::secret::{EncryptedSecret, ReadersChange, SecretDestruction, SecretPolicy, SecretReading};

commands! {
    /// What a secret may be asked.
    SecretCommand {
        /// Store the first version, or the next one under the same policy.
        Store = "store",
        /// Replace the policy: who may read, and who decides that.
        SetReaders = "set-readers",
        /// Seal a version to a key of its readers.
        Reveal = "reveal",
        /// End the secret: nobody is given it any more.
        Destroy = "destroy",
        /// A worker reports what became of a job.
        RecordOutcome = "record-outcome",
        /// The reactor gives up a request that no worker answered in time.
        ExpireRequest = "expire-request",
    }
}

/// `store`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Store {
    /// Encrypted for this secret, version and policy.
    pub content: EncryptedSecret,
    /// Who decides and who reads; of a later version, the policy in force.
    pub policy: SecretPolicy,
    /// The version that it becomes: 1, or the one that follows the present one.
    pub version: u32,
}

/// `set-readers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SetReaders {
    /// What the owners signed.
    pub change: Signed<ReadersChange>,
}

/// `reveal`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Reveal {
    /// What the readers signed.
    pub reading: Signed<SecretReading>,
}

/// `destroy`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Destroy {
    /// What the owners signed.
    pub destruction: Signed<SecretDestruction>,
}
