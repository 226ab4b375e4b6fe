//! What a client hears: the recorded result of a command, or an unrecorded refusal at intake.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::bytes::Sha256;

/// The answer to a command, the same for ever (`nsl.v1.res.<tenant>.<command-id>`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CommandResult {
    /// The command.
    pub command_id: Uuid,
    /// Position of its first event.
    pub first_position: u64,
    /// How many events it has.
    pub event_count: u32,
    /// What was decided.
    #[serde(flatten)]
    pub answer: Answer,
}

/// What was decided; stored with the receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Answer {
    /// Its events are in the log.
    Accepted {
        /// The aggregate's version after them.
        version: u64,
    },
    /// A rule said no; the rejection is in the log.
    Rejected {
        /// Which rule, see [`crate::errors`].
        code: String,
        /// What happened.
        message: String,
    },
}

/// Refused at intake: nothing was recorded (`nsl.v1.ref.<tenant>.<command-id>`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Refusal {
    /// The command, where its id could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_id: Option<Uuid>,
    /// What was refused: a client takes only a refusal of its own bytes for its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_sha256: Option<Sha256>,
    /// A stable code, see [`crate::errors`].
    pub code: String,
    /// What happened.
    pub message: String,
    /// When to try again, where trying again can help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}
