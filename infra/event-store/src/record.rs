//! What the log answers: recorded events, stored envelopes and receipts.

use nsl_schemas::event::Stored;
use sqlx::FromRow;
use uuid::Uuid;

use crate::hash::{HashedEvent, command_hash, content_hash};

/// An event as it stands in the log.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct RecordedEvent {
    /// Its place in the log, from 1, without a gap.
    #[sqlx(try_from = "i64")]
    pub position: u64,
    /// Its stream's type.
    pub aggregate_type: String,
    /// Its stream's id, `<tenant>.<id>`.
    pub aggregate_id: String,
    /// Its number in its stream, from 1, without a gap.
    #[sqlx(try_from = "i64")]
    pub sequence: u64,
    /// Its own id.
    pub event_id: Uuid,
    /// The command that it was decided by.
    pub command_id: Uuid,
    /// Its type.
    pub event_type: String,
    /// The version of its schema.
    pub event_version: String,
    /// The payload's JSON text, byte for byte as appended.
    pub payload: String,
    /// The metadata's JSON text, byte for byte as appended.
    pub metadata: String,
    /// When the database recorded it, in milliseconds since 1970.
    pub recorded_at_ms: i64,
    /// The hash that was computed when it was appended.
    pub content_hash: [u8; 32],
}

impl RecordedEvent {
    /// What a decoder needs of it.
    pub fn stored(&self) -> Stored<'_> {
        Stored {
            aggregate_type: &self.aggregate_type,
            event_type: &self.event_type,
            event_version: &self.event_version,
            payload: &self.payload,
        }
    }

    /// Whether the event still is what was appended. A command's first event (the one at whose position
    /// [`crate::EventReader::envelope`] finds something) needs that envelope, every other one `None`.
    pub fn is_intact(&self, command: Option<&Envelope>) -> bool {
        let command = command.map(Envelope::hash);
        let hashed = HashedEvent {
            aggregate_type: &self.aggregate_type,
            aggregate_id: &self.aggregate_id,
            sequence: self.sequence,
            event_id: self.event_id,
            event_type: &self.event_type,
            event_version: &self.event_version,
            payload: &self.payload,
            metadata: &self.metadata,
        };
        content_hash(&hashed, command.as_ref()) == self.content_hash
    }
}

/// A command as it was published, stored once under the position of its first event.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Envelope {
    /// The position of the command's first event.
    #[sqlx(try_from = "i64")]
    pub position: u64,
    /// The command.
    pub command_id: Uuid,
    /// The subject it was published on.
    pub subject: String,
    /// Its signed envelope, byte for byte.
    pub envelope: String,
    /// Its payload, byte for byte.
    pub payload: String,
}

impl Envelope {
    /// The hash that the command's first event covers.
    pub fn hash(&self) -> [u8; 32] {
        command_hash(&self.subject, &self.envelope, &self.payload)
    }
}

/// What a committed command was answered.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Receipt {
    /// The command.
    pub command_id: Uuid,
    /// Who signed it.
    pub issuer: String,
    /// Tells a resend from another command under the same id.
    pub request_hash: [u8; 32],
    /// The position of its first event.
    #[sqlx(try_from = "i64")]
    pub first_position: u64,
    /// How many events it has.
    #[sqlx(try_from = "i32")]
    pub event_count: u32,
    /// The answer's JSON text, byte for byte.
    pub answer: String,
}
