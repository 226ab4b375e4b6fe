//! An event as a CloudEvent in binary mode: attributes in `ce-*` headers, the stored payload bytes as the data.

use bytes::Bytes;
use jiff::Timestamp;
use nsl_bus::async_nats::HeaderMap;
use nsl_bus::{SequencedMessage, headers};
use nsl_event_store::RecordedEvent;
use nsl_schemas::envelope::HEADER_TRACEPARENT;
use nsl_schemas::event::HEADER_SCHEMA_VERSION;
use nsl_schemas::subject;
use nsl_schemas::token::{self, AggregateId, AggregateType, EventName};

/// The id of the event.
pub const ID: &str = "ce-id";
/// The type of the event.
pub const TYPE: &str = "ce-type";
/// When it was recorded.
pub const TIME: &str = "ce-time";
/// The extension attribute with the event's position in the log.
pub const POSITION: &str = "ce-nslposition";
/// The extension attribute with the event's number in its aggregate.
pub const VERSION: &str = "ce-nslversion";
/// Characters of a W3C `traceparent` of version 00.
const TRACEPARENT_LENGTH: usize = 55;

/// An event that cannot be published, because it is not what the log may hold.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The stream's id is not `<tenant>.<id>`.
    #[error("stream id is malformed")]
    Stream(#[from] subject::Error),
    /// Its names cannot be a subject.
    #[error("name cannot be part of a subject")]
    Name(#[from] token::Error),
    /// The time of recording is out of range.
    #[error("time of recording is out of range")]
    Time(#[source] jiff::Error),
    /// A header cannot be written.
    #[error("header cannot be written")]
    Header(#[from] headers::Error),
}

/// What an event is called where it is published.
#[derive(Debug)]
pub(crate) struct Names {
    /// The subject it is published on.
    pub(crate) subject: String,
    /// Where it comes from: its aggregate.
    source: String,
    /// The aggregate's id within the tenant.
    id: AggregateId,
    /// Its type, `nsl.v1.<aggregate>.<event>`.
    pub(crate) event_type: String,
    /// When it was recorded, RFC 3339.
    pub(crate) time: String,
}

/// Names an event.
pub(crate) fn names(event: &RecordedEvent) -> Result<Names, Error> {
    let (tenant, id) = subject::split_stream_id(&event.aggregate_id)?;
    let aggregate = AggregateType::parse(&event.aggregate_type)?;
    let name = EventName::parse(&event.event_type)?;
    let time = Timestamp::from_millisecond(event.recorded_at_ms).map_err(Error::Time)?;
    Ok(Names {
        subject: subject::event(&tenant, &aggregate, &id, &name),
        source: format!("/nsl/{tenant}/{aggregate}/{id}"),
        event_type: format!("nsl.v1.{aggregate}.{name}"),
        time: time.to_string(),
        id,
    })
}

/// The message for an event.
pub fn message(event: &RecordedEvent) -> Result<SequencedMessage, Error> {
    let Names { subject, source, id, event_type, time } = names(event)?;
    let attributes = [
        ("ce-specversion", "1.0".to_owned()),
        (ID, event.event_id.to_string()),
        ("ce-source", source),
        (TYPE, event_type),
        (TIME, time),
        ("ce-subject", id.to_string()),
        (POSITION, event.position.to_string()),
        (VERSION, event.sequence.to_string()),
        (HEADER_SCHEMA_VERSION, event.event_version.clone()),
        ("Content-Type", "application/json".to_owned()),
    ];
    let mut map = HeaderMap::new();
    for (header, value) in attributes {
        headers::set(&mut map, header, &value)?;
    }
    if let Some(traceparent) = traceparent(&event.metadata) {
        headers::set(&mut map, HEADER_TRACEPARENT, &traceparent)?;
    }
    Ok(SequencedMessage { subject, headers: map, payload: Bytes::copy_from_slice(event.payload.as_bytes()) })
}

/// The trace context, where there is one. It is a courtesy of the client: a malformed one is left out and stops nothing.
fn traceparent(metadata: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Trace {
        traceparent: Option<String>,
    }
    let trace: Trace = serde_json::from_str(metadata).ok()?;
    let plain = |text: &String| {
        text.len() == TRACEPARENT_LENGTH && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
    };
    trace.traceparent.filter(plain)
}

#[cfg(test)]
mod tests {
    use nsl_schemas::event::rejection;
    use uuid::Uuid;

    use super::*;

    const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn event(aggregate_type: &str, aggregate_id: &str, event_type: &str, metadata: &str) -> RecordedEvent {
        RecordedEvent {
            position: 42,
            aggregate_type: aggregate_type.into(),
            aggregate_id: aggregate_id.into(),
            sequence: 3,
            event_id: Uuid::from_u128(7),
            command_id: Uuid::nil(),
            event_type: event_type.into(),
            event_version: "1.0.0".into(),
            payload: "{\"event\":\"transfer-signed\"}".into(),
            metadata: metadata.into(),
            recorded_at_ms: 1_700_000_000_123,
            content_hash: [0; 32],
        }
    }

    #[test]
    fn attributes_are_headers_and_the_data_is_what_is_stored() {
        let metadata = format!("{{\"traceparent\":\"{TRACEPARENT}\"}}");
        let message = message(&event("wallet", "acme.main", "transfer-signed", &metadata)).unwrap();
        assert_eq!(message.subject, "nsl.v1.evt.acme.wallet.main.transfer-signed");
        assert_eq!(&message.payload[..], b"{\"event\":\"transfer-signed\"}");
        for (header, value) in [
            ("ce-specversion", "1.0"),
            ("ce-id", "00000000-0000-0000-0000-000000000007"),
            ("ce-source", "/nsl/acme/wallet/main"),
            ("ce-type", "nsl.v1.wallet.transfer-signed"),
            ("ce-time", "2023-11-14T22:13:20.123Z"),
            ("ce-subject", "main"),
            ("ce-nslposition", "42"),
            ("ce-nslversion", "3"),
            ("ce-nslschemaversion", "1.0.0"),
            ("Content-Type", "application/json"),
            ("traceparent", TRACEPARENT),
        ] {
            assert_eq!(headers::required(Some(&message.headers), header, 128), Ok(value));
        }
    }

    #[test]
    fn a_rejection_has_its_command_as_subject() {
        let stream = format!("acme.{}", Uuid::nil());
        let message = message(&event(rejection::AGGREGATE, &stream, rejection::NAME, "{}")).unwrap();
        assert_eq!(message.subject, format!("nsl.v1.evt.acme.rejection.{}.command-rejected", Uuid::nil()));
    }

    #[test]
    fn a_malformed_trace_context_is_left_out() {
        for metadata in ["{\"traceparent\":\"a\\r\\nEvil: 1\"}", "{\"traceparent\":7}", "not json", "{}"] {
            let message = message(&event("wallet", "acme.main", "key-created", metadata)).unwrap();
            assert_eq!(headers::optional(Some(&message.headers), "traceparent", 128), Ok(None), "{metadata}");
        }
    }

    #[test]
    fn names_that_are_no_tokens_are_refused() {
        for (aggregate_type, aggregate_id, event_type) in [
            ("wal.let", "acme.main", "created"),
            ("wallet", "acme", "created"),
            ("wallet", "acme.main", "cre>ated"),
        ] {
            assert!(
                message(&event(aggregate_type, aggregate_id, event_type, "{}")).is_err(),
                "{aggregate_type}"
            );
        }
    }
}
