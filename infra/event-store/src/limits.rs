//! What a command may hold, and the named error for everything beyond it.

use uuid::Uuid;

use crate::command::CommandAppend;
use crate::json;
use crate::lease::PARTITIONS;

/// Commands in one batch: beyond it the rate no longer grows, and the head lock is held longer for everyone.
pub const MAX_COMMANDS_PER_BATCH: usize = 512;
/// Events of one command: a decision that needs more is several commands.
pub const MAX_EVENTS_PER_COMMAND: usize = 64;
/// Bytes of an event's or a command's payload: what one message on the bus may carry with room for its headers.
pub const MAX_PAYLOAD_BYTES: usize = 256 * 1024;
/// Bytes of an event's metadata: ids, times and trace context, never content.
pub const MAX_METADATA_BYTES: usize = 16 * 1024;
/// Bytes of a signed envelope: ids, times, a signature and a grant chain.
pub const MAX_ENVELOPE_BYTES: usize = 64 * 1024;
/// Bytes of an answer: it is sent as one message on the bus.
pub const MAX_ANSWER_BYTES: usize = 256 * 1024;
/// Bytes of a type, version, issuer or aggregate id: indexed text, far below a B-tree's bound of about 2,700.
pub const MAX_NAME_BYTES: usize = 256;
/// Bytes of a subject: a fixed prefix and four tokens of at most 64, with room.
pub const MAX_SUBJECT_BYTES: usize = 512;
/// Text bytes of one batch: what one statement sends and Postgres holds in memory at once. Every single command within
/// the limits above fits, so a batch that is too long can always be halved.
pub const MAX_BATCH_BYTES: usize = 32 * 1024 * 1024;

/// Why a batch cannot be appended as it is; nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum InvalidBatch {
    /// No command, or too many.
    #[error("a batch has 1 to {MAX_COMMANDS_PER_BATCH} commands, this one {actual}")]
    CommandCount {
        /// How many there are.
        actual: usize,
    },
    /// A command without an event, or with too many.
    #[error("a command has 1 to {MAX_EVENTS_PER_COMMAND} events, {command_id} has {actual}")]
    EventCount {
        /// The command.
        command_id: Uuid,
        /// How many there are.
        actual: usize,
    },
    /// The batch's text is too long as a whole; a smaller batch passes.
    #[error("a batch has at most {MAX_BATCH_BYTES} bytes of text, this one {actual}")]
    BatchBytes {
        /// How long it is.
        actual: usize,
    },
    /// A field is too long.
    #[error("{field} of command {command_id} has {actual} bytes, allowed are {allowed}")]
    FieldBytes {
        /// The command.
        command_id: Uuid,
        /// The field's name.
        field: &'static str,
        /// How long it is.
        actual: usize,
        /// How long it may be.
        allowed: usize,
    },
    /// A name is empty or holds a NUL, which Postgres' text cannot.
    #[error("{field} of command {command_id} is empty or holds a NUL character")]
    Name {
        /// The command.
        command_id: Uuid,
        /// The field's name.
        field: &'static str,
    },
    /// The aggregate id does not name its tenant.
    #[error("aggregate id {aggregate_id:?} of command {command_id} is not <tenant>.<id>")]
    AggregateId {
        /// The command.
        command_id: Uuid,
        /// The aggregate id.
        aggregate_id: String,
    },
    /// A JSON field is not JSON that can be read back.
    #[error("{field} of command {command_id} is not readable JSON")]
    Json {
        /// The command.
        command_id: Uuid,
        /// The field's name.
        field: &'static str,
        /// What the parser says.
        #[source]
        source: serde_json::Error,
    },
    /// The fence names a partition that does not exist.
    #[error("partition {partition} of command {command_id} does not exist, there are {PARTITIONS}")]
    Partition {
        /// The command.
        command_id: Uuid,
        /// The partition.
        partition: u16,
    },
    /// The same command twice in the batch.
    #[error("command {command_id} is twice in the batch")]
    DuplicateCommand {
        /// The command.
        command_id: Uuid,
    },
    /// The command does not continue its stream where the batch's earlier commands left it.
    #[error("command {command_id} expects version {expected}, the batch leaves its stream at {actual}")]
    BrokenChain {
        /// The command.
        command_id: Uuid,
        /// The version it expects.
        expected: u64,
        /// The version after the commands before it.
        actual: u64,
    },
    /// The expected version is beyond what a stream can reach.
    #[error("expected version {expected} of command {command_id} is out of range")]
    VersionRange {
        /// The command.
        command_id: Uuid,
        /// The version it expects.
        expected: u64,
    },
}

/// Checks every field on its own and answers the command's text bytes.
pub(crate) fn check_command(command: &CommandAppend) -> Result<usize, InvalidBatch> {
    let command_id = command.command_id;
    if !(1..=MAX_EVENTS_PER_COMMAND).contains(&command.events.len()) {
        return Err(InvalidBatch::EventCount { command_id, actual: command.events.len() });
    }
    let name = |field, text: &str, allowed| check_name(command_id, field, text, allowed);
    let document = |field, text: &str, allowed| check_document(command_id, field, text, allowed);
    let mut bytes = name("issuer", &command.issuer, MAX_NAME_BYTES)?
        + name("aggregate type", &command.aggregate_type, MAX_NAME_BYTES)?
        + name("aggregate id", &command.aggregate_id, MAX_NAME_BYTES)?
        + name("subject", &command.subject, MAX_SUBJECT_BYTES)?
        + document("envelope", &command.envelope, MAX_ENVELOPE_BYTES)?
        + document("payload", &command.payload, MAX_PAYLOAD_BYTES)?
        + document("answer", &command.answer, MAX_ANSWER_BYTES)?;
    if !command.aggregate_id.split_once('.').is_some_and(|(tenant, id)| !tenant.is_empty() && !id.is_empty())
    {
        let aggregate_id = command.aggregate_id.clone();
        return Err(InvalidBatch::AggregateId { command_id, aggregate_id });
    }
    for event in &command.events {
        bytes += name("event type", &event.event_type, MAX_NAME_BYTES)?
            + name("event version", &event.event_version, MAX_NAME_BYTES)?
            + document("event payload", &event.payload, MAX_PAYLOAD_BYTES)?
            + document("event metadata", &event.metadata, MAX_METADATA_BYTES)?;
    }
    Ok(bytes)
}

fn check_name(
    command_id: Uuid,
    field: &'static str,
    text: &str,
    allowed: usize,
) -> Result<usize, InvalidBatch> {
    if text.is_empty() || text.contains('\0') {
        return Err(InvalidBatch::Name { command_id, field });
    }
    check_bytes(command_id, field, text, allowed)
}

fn check_document(
    command_id: Uuid,
    field: &'static str,
    text: &str,
    allowed: usize,
) -> Result<usize, InvalidBatch> {
    let bytes = check_bytes(command_id, field, text, allowed)?;
    json::check(text).map_err(|source| InvalidBatch::Json { command_id, field, source })?;
    Ok(bytes)
}

fn check_bytes(
    command_id: Uuid,
    field: &'static str,
    text: &str,
    allowed: usize,
) -> Result<usize, InvalidBatch> {
    if text.len() > allowed {
        return Err(InvalidBatch::FieldBytes { command_id, field, actual: text.len(), allowed });
    }
    Ok(text.len())
}
