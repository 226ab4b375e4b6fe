//! Headers of commands (the signed envelope) and of events (CloudEvents in binary mode).

use nsl_schemas::envelope::{
    HEADER_COMMAND_ID, HEADER_EXPIRES_AT_MS, HEADER_ISSUED_AT_MS, HEADER_ISSUER, HEADER_SIGNATURE,
    HEADER_TRACEPARENT,
};
use nsl_schemas::event::HEADER_SCHEMA_VERSION;
use serde_json::{Value, json};

/// Name of the command headers' schema.
pub(super) const COMMAND: &str = "command-headers";
/// Name of the event headers' schema.
pub(super) const EVENT: &str = "event-headers";

const UUID: &str = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$";
const VERSION: &str = "^[0-9]+\\.[0-9]+\\.[0-9]+$";
const DECIMAL: &str = "^(0|[1-9][0-9]*)$";
const TRACEPARENT: &str = "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$";

/// The headers' schemas by name.
pub(super) fn schemas() -> Value {
    json!({ COMMAND: command(), EVENT: event() })
}

fn command() -> Value {
    json!({
        "type": "object",
        "description": "The signed envelope. No Nats-Msg-Id: a resend would be swallowed with its answer.",
        "properties": {
            HEADER_COMMAND_ID: text(UUID, "Made by the client; a resend has the same."),
            HEADER_ISSUER: text("^U[A-Z2-7]{55}$", "The issuer's Ed25519 key as a user NKEY."),
            HEADER_ISSUED_AT_MS: text(DECIMAL, "When it was signed, Unix ms."),
            HEADER_EXPIRES_AT_MS: text(DECIMAL, "After this it is no longer taken as a new command, Unix ms."),
            HEADER_SIGNATURE: text(
                "^[A-Za-z0-9+/]{86}==$",
                "Ed25519 in standard base64 over 0xFF, nsl-command-v1, then subject, command id, issued, expires and \
                 payload SHA-256, each behind its length as a big-endian u32; times are big-endian u64. See \
                 vectors/commands.json.",
            ),
            HEADER_TRACEPARENT: text(TRACEPARENT, "W3C trace context; kept with the events."),
        },
        "required": [
            HEADER_COMMAND_ID, HEADER_ISSUER, HEADER_ISSUED_AT_MS, HEADER_EXPIRES_AT_MS, HEADER_SIGNATURE,
        ],
    })
}

fn event() -> Value {
    json!({
        "type": "object",
        "description": "CloudEvents 1.0 in binary mode: attributes are headers, the payload is the event as the log \
            holds it, byte for byte.",
        "properties": {
            "ce-specversion": { "const": "1.0" },
            "ce-id": text(UUID, "The event's id."),
            "ce-source": text("^/nsl/[^/]+/[^/]+/[^/]+$", "/nsl/<tenant>/<aggregate>/<id>"),
            "ce-type": text("^nsl\\.v1\\.[^.]+\\.[^.]+$", "nsl.v1.<aggregate>.<event>"),
            "ce-time": { "type": "string", "format": "date-time", "description": "When it was recorded." },
            "ce-subject": { "type": "string", "description": "The aggregate's id." },
            "ce-nslposition": text(DECIMAL, "Its position in the log, which is the stream's sequence."),
            "ce-nslversion": text(DECIMAL, "Its number within its aggregate, from 1."),
            HEADER_SCHEMA_VERSION: text(VERSION, "The version of the event's schema; 1.0.0 where it is absent."),
            "Content-Type": { "const": "application/json" },
            HEADER_TRACEPARENT: text(TRACEPARENT, "W3C trace context of the command."),
        },
        "required": [
            "ce-specversion", "ce-id", "ce-source", "ce-type", "ce-time", "ce-subject", "ce-nslposition",
            "ce-nslversion", "Content-Type",
        ],
    })
}

fn text(pattern: &str, description: &str) -> Value {
    json!({ "type": "string", "pattern": pattern, "description": description })
}
