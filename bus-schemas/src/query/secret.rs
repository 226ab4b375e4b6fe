//! What is told about secrets.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::secret::SecretPolicy;
use crate::token::AggregateId;

/// A secret as the read model shows it: all but what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Secret {
    /// Its id.
    pub id: AggregateId,
    /// `storing`, `stored`, `refused` or `destroyed`.
    pub status: String,
    /// The version in force, 0 before there is one.
    pub version: u32,
    /// Who decides and who reads.
    pub policy: SecretPolicy,
    /// How often it was sealed to readers.
    pub readings: u64,
    /// The command that was last sealed to readers.
    pub last_reading_id: Option<Uuid>,
    /// Position of its last event.
    pub position: u64,
}
