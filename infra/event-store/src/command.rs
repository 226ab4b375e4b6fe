//! What a caller hands in to be appended: commands with the events they were decided to.

use uuid::Uuid;

/// One event of a command; payload and metadata are stored and hashed byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// The event's own id.
    pub event_id: Uuid,
    /// The event's type within its aggregate type.
    pub event_type: String,
    /// The version of the event's schema.
    pub event_version: String,
    /// Canonical JSON.
    pub payload: String,
    /// Canonical JSON.
    pub metadata: String,
}

/// The right to append for one partition of the command stream, as long as the epoch has not moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fence {
    /// The partition of the command stream.
    pub partition: u16,
    /// The lease's epoch when it was taken; never below 1.
    pub epoch: i64,
}

/// One decided command: its signed origin, its answer and its events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandAppend {
    /// The command's id; a log holds it once.
    pub command_id: Uuid,
    /// Who signed the command.
    pub issuer: String,
    /// Tells a resend of the command from another command under the same id.
    pub request_hash: [u8; 32],
    /// The subject the command was published on; covered by its signature.
    pub subject: String,
    /// The signed envelope, canonical JSON.
    pub envelope: String,
    /// The command's payload, JSON as published.
    pub payload: String,
    /// The answer that a resend gets, JSON.
    pub answer: String,
    /// The stream's type.
    pub aggregate_type: String,
    /// The stream's id, `<tenant>.<id>`.
    pub aggregate_id: String,
    /// The stream's version that the decision rests on; 0 is a new stream.
    pub expected_version: u64,
    /// What was decided, at least one event.
    pub events: Vec<NewEvent>,
    /// The lease under which the decision was made.
    pub fence: Fence,
}
