//! Every stream of the service but the command queue (see [`crate::partition::command_stream`]): one definition each,
//! so that whichever process comes first makes the same stream. All of them can be lost and made again (D1).

use nsl_schemas::streams;

use crate::StreamDefinition;
use crate::stream::{DiscardPolicy, RetentionPolicy};

const MIB: u64 = 1024 * 1024;

/// The default `max_payload` of a NATS server; no message of ours is larger.
const MESSAGE_BYTES_MAX: u32 = 1024 * 1024;

/// The shortest window the server takes: a job that is published again because its outcome is due must arrive.
const JOB_DUPLICATE_WINDOW_MS: u64 = 100;

/// Jobs that wait may take this much disk, some 100,000 of the usual 10 KB; then they stay in the reactor's table,
/// which publishes them again.
const JOB_BYTES_MAX: u64 = 1024 * MIB;

/// How long a result can be looked up; a later resend is answered from its receipt.
const RESULT_AGE_MS_MAX: u64 = 60 * 60 * 1000;

/// An hour of 1,000 results a second at 300 bytes; beyond it the oldest go early. The server sets this much disk aside.
const RESULT_BYTES_MAX: u64 = 1024 * MIB;

/// The log's first position.
const EVENT_FIRST_SEQUENCE: u64 = 1;

/// How long observations are kept: rounds look at minutes; an hour lets a person see what a venue said.
const TICK_AGE_MS_MAX: u64 = 60 * 60 * 1000;

/// An hour of a hundred sources asked every second at 400 bytes is 144 MB.
const TICK_BYTES_MAX: u64 = 256 * MIB;

/// Largest observation with its headers: the fields' own limits add up to less than 400 bytes.
const TICK_MESSAGE_BYTES_MAX: u32 = 1024;

/// Prices kept of each pair, enough to draw a day of one-minute rounds; the read model has them all.
const PRICES_PER_PAIR_MAX: u32 = 1000;

/// How long a person has to look at a message that no consumer could read.
const PARKED_AGE_MS_MAX: u64 = 7 * 24 * 60 * 60 * 1000;

/// Parked messages are as large as their senders made them, and anybody may send: beyond this the oldest go.
const PARKED_BYTES_MAX: u64 = 256 * MIB;

/// Jobs: a work queue that refuses more when it is full, and drops nothing.
pub fn jobs(replicas: u8) -> StreamDefinition {
    StreamDefinition {
        retention: RetentionPolicy::WorkQueue,
        discard: DiscardPolicy::New,
        max_bytes: Some(JOB_BYTES_MAX),
        max_message_bytes: Some(MESSAGE_BYTES_MAX),
        duplicate_window_ms: Some(JOB_DUPLICATE_WINDOW_MS),
        replicas,
        ..StreamDefinition::new(streams::JOBS, "Work that events asked for", &[streams::JOBS_SUBJECT])
    }
}

/// Results and refusals of commands, the last of each subject.
pub fn results(replicas: u8) -> StreamDefinition {
    StreamDefinition {
        max_messages_per_subject: Some(1),
        max_age_ms: Some(RESULT_AGE_MS_MAX),
        max_bytes: Some(RESULT_BYTES_MAX),
        allow_direct: true,
        replicas,
        ..StreamDefinition::new(
            streams::RESULTS,
            "Results of commands, and refusals at intake",
            &streams::RESULTS_SUBJECTS,
        )
    }
}

/// Events: sequence = position, so nothing may ever be taken out, and there is no limit at which something would be.
pub fn events(replicas: u8) -> StreamDefinition {
    StreamDefinition {
        deny_delete: true,
        deny_purge: true,
        first_sequence: Some(EVENT_FIRST_SEQUENCE),
        replicas,
        ..StreamDefinition::new(
            streams::EVENTS,
            "Events in the order of their positions",
            &[streams::EVENTS_SUBJECT],
        )
    }
}

/// Observations, in order.
pub fn ticks(replicas: u8) -> StreamDefinition {
    StreamDefinition {
        max_age_ms: Some(TICK_AGE_MS_MAX),
        max_bytes: Some(TICK_BYTES_MAX),
        max_message_bytes: Some(TICK_MESSAGE_BYTES_MAX),
        replicas,
        ..StreamDefinition::new(streams::TICKS, "Observations of venues, in order", &[streams::TICKS_SUBJECT])
    }
}

/// Accepted prices, the latest of each pair.
pub fn prices(replicas: u8) -> StreamDefinition {
    StreamDefinition {
        max_messages_per_subject: Some(PRICES_PER_PAIR_MAX),
        allow_direct: true,
        replicas,
        ..StreamDefinition::new(streams::PRICES, "Accepted prices", &[streams::PRICES_SUBJECT])
    }
}

/// Messages that no consumer could read.
pub fn parked(replicas: u8) -> StreamDefinition {
    StreamDefinition {
        max_age_ms: Some(PARKED_AGE_MS_MAX),
        max_bytes: Some(PARKED_BYTES_MAX),
        replicas,
        ..StreamDefinition::new(
            streams::PARKED,
            "Messages that no consumer could read, for people",
            &[streams::PARKED_SUBJECT],
        )
    }
}
