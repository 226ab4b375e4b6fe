//! JetStream facts of the streams, as our processes make them, and which of them takes a subject. AsyncAPI has no words
//! for them, so they are an extension, `x-jetstream`.

use nsl_bus::stream::Intake;
use nsl_bus::{StreamDefinition, partition, streams};
use serde_json::{Map, Value, json};

/// Copies depend on the site; the contract shows the definitions of a single server.
const REPLICAS: u8 = 1;

/// Every stream of the service.
pub(super) fn all() -> Vec<StreamDefinition> {
    vec![
        partition::command_stream(REPLICAS),
        streams::results(REPLICAS),
        streams::events(REPLICAS),
        streams::jobs(REPLICAS),
        streams::ticks(REPLICAS),
        streams::prices(REPLICAS),
        streams::parked(REPLICAS),
    ]
}

/// The name of the stream that takes what is published on `address`, whose parameters stand in braces.
pub(super) fn of(address: &str) -> Option<String> {
    let takes = |stream: &StreamDefinition| subjects(stream).iter().any(|filter| is_matched(filter, address));
    all().into_iter().find(takes).map(|stream| stream.name)
}

/// The streams by name.
pub(super) fn document() -> Value {
    let described = all().iter().map(|stream| (stream.name.clone(), facts(stream))).collect();
    Value::Object(described)
}

fn facts(stream: &StreamDefinition) -> Value {
    let mut facts = Map::new();
    let mut add = |name: &str, fact: Value| {
        if !fact.is_null() {
            facts.insert(name.to_owned(), fact);
        }
    };
    add("description", json!(stream.description));
    add("subjects", json!(subjects(stream)));
    if let Intake::Subjects { transform, .. } = &stream.intake {
        add("subject_transform", json!(transform));
    }
    add("retention", json!(stream.retention));
    add("storage", json!(stream.storage));
    add("discard", json!(stream.discard));
    add("max_messages_per_subject", json!(stream.max_messages_per_subject));
    add("max_age_ms", json!(stream.max_age_ms));
    add("max_bytes", json!(stream.max_bytes));
    add("max_message_bytes", json!(stream.max_message_bytes));
    add("deny_delete", json!(stream.deny_delete));
    add("deny_purge", json!(stream.deny_purge));
    add("allow_direct", json!(stream.allow_direct));
    add("first_sequence", json!(stream.first_sequence));
    add("duplicate_window_ms", json!(stream.duplicate_window_ms));
    Value::Object(facts)
}

fn subjects(stream: &StreamDefinition) -> &[String] {
    match &stream.intake {
        Intake::Subjects { subjects, .. } => subjects,
        Intake::Sources(_) => &[],
    }
}

/// Whether a NATS subject filter takes a subject.
fn is_matched(filter: &str, subject: &str) -> bool {
    let mut tokens = subject.split('.');
    for pattern in filter.split('.') {
        match (pattern, tokens.next()) {
            (">", Some(_)) => return true,
            ("*", Some(_)) => {}
            (exact, Some(token)) if exact == token => {}
            _ => return false,
        }
    }
    tokens.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_match_filters_as_in_nats() {
        for (filter, subject, expected) in [
            ("a.*.c", "a.{b}.c", true),
            ("a.*.c", "a.b.d", false),
            ("a.*", "a.b.c", false),
            ("a.*.c", "a.b", false),
            ("a.>", "a.b.c", true),
            ("a.>", "a", false),
        ] {
            assert_eq!(is_matched(filter, subject), expected, "{filter} {subject}");
        }
    }

    #[test]
    fn a_subject_is_taken_by_the_stream_of_its_kind() {
        for (address, expected) in [
            ("nsl.v1.cmd.{tenant}.wallet.{id}.create", Some("NSL_CMD")),
            ("nsl.v1.ref.{tenant}.{command_id}", Some("NSL_RES")),
            ("nsl.v1.evt.{tenant}.wallet.{id}.key-created", Some("NSL_EVT")),
            ("nsl.v1.price.{pair}", Some("NSL_PRICE")),
            ("nsl.v1.head", None),
            ("nsl.v1.qry.{tenant}.wallet", None),
        ] {
            assert_eq!(of(address).as_deref(), expected, "{address}");
        }
    }
}
