//! The fold refuses what is not the stream's next event, and reads old versions.

use cqrs_es::event_sink::EventSink;
use nsl_schemas::event::{EventType, Upcast, WireEvent};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::*;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Added {
    amount: i64,
}

impl cqrs_es::DomainEvent for Added {
    fn event_type(&self) -> String {
        "added".into()
    }

    fn event_version(&self) -> String {
        TYPE.version.into()
    }
}

const TYPE: EventType = EventType { aggregate: "sum", name: "added", version: "2.0.0", upcasts: &[UPCAST] };
const UPCAST: Upcast = Upcast { from: "1.0.0", change: Some(|old| json!({ "amount": old["value"] })) };

impl WireEvent for Added {
    const TYPES: &'static [EventType] = &[TYPE];

    fn event_type(&self) -> &'static EventType {
        &TYPE
    }
}

fn decode(stored: Stored<'_>) -> Result<Added, DecodeError> {
    stored.decode()
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Sum(i64);

impl Aggregate for Sum {
    const TYPE: &'static str = "sum";
    type Command = i64;
    type Event = Added;
    type Error = std::convert::Infallible;
    type Services = ();

    async fn handle(&mut self, amount: i64, (): &(), sink: &EventSink<Self>) -> Result<(), Self::Error> {
        sink.write(Added { amount }, self).await;
        Ok(())
    }

    fn apply(&mut self, event: Added) {
        self.0 += event.amount;
    }
}

fn recorded(sequence: u64, event_version: &str, payload: &str) -> RecordedEvent {
    RecordedEvent {
        position: sequence,
        aggregate_type: "sum".into(),
        aggregate_id: "t.a".into(),
        sequence,
        event_id: Uuid::nil(),
        command_id: Uuid::nil(),
        event_type: "added".into(),
        event_version: event_version.into(),
        payload: payload.into(),
        metadata: "{}".into(),
        recorded_at_ms: 0,
        content_hash: [0; 32],
    }
}

#[test]
fn a_gap_and_a_repeat_are_refused_and_change_nothing() {
    for found in [1, 3] {
        let mut sum = Sum(5);
        let result = apply(&mut sum, 1, &recorded(found, "2.0.0", r#"{"amount":1}"#), decode);
        assert!(matches!(result, Err(LoadError::Gap { expected: 2, found: there, .. }) if there == found));
        assert_eq!(sum.0, 5);
    }
}

#[test]
fn an_old_event_is_upcast_and_a_newer_one_told_from_a_damaged_one() {
    let mut sum = Sum(0);
    assert_eq!(apply(&mut sum, 0, &recorded(1, "1.0.0", r#"{"value":4}"#), decode).unwrap(), 1);
    assert_eq!(apply(&mut sum, 1, &recorded(2, "2.0.0", r#"{"amount":3}"#), decode).unwrap(), 2);
    assert_eq!(sum.0, 7);
    for (version, payload, from_the_future) in
        [("2.1.0", r#"{"amount":3}"#, true), ("2.0.0", r#"{"value":4}"#, false)]
    {
        let error = apply(&mut sum, 2, &recorded(3, version, payload), decode).unwrap_err();
        assert!(matches!(error, LoadError::Event { sequence: 3, .. }), "{error}");
        assert!(error.is_of_the_stream());
        assert_eq!(error.is_from_the_future(), from_the_future, "{version}");
    }
    assert_eq!(sum.0, 7);
}
