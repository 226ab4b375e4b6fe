//! A recorded event as a read model sees it: only what the log holds for ever, so that a replay gives the same rows.

use nsl_event_store::RecordedEvent;
use nsl_schemas::event::{DecodeError, WireEvent};
use nsl_schemas::subject;
use nsl_schemas::token::{AggregateId, Tenant};
use uuid::Uuid;

/// Why an event cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The stream's id is not `<tenant>.<id>`.
    #[error(transparent)]
    Stream(#[from] subject::Error),
    /// It is damaged, or newer than this build.
    #[error(transparent)]
    Event(#[from] DecodeError),
}

/// An event of one aggregate type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEvent<E> {
    /// Its place in the log.
    pub position: u64,
    /// Its place in its stream: the aggregate's version after it.
    pub sequence: u64,
    /// Its own id.
    pub event_id: Uuid,
    /// Whose aggregate.
    pub tenant: Tenant,
    /// Which aggregate.
    pub id: AggregateId,
    /// What happened.
    pub body: E,
}

impl<E: WireEvent> LogEvent<E> {
    /// Reads a recorded event.
    pub fn read(recorded: &RecordedEvent) -> Result<Self, Error> {
        let (tenant, id) = subject::split_stream_id(&recorded.aggregate_id)?;
        let body = recorded.stored().decode()?;
        let RecordedEvent { position, sequence, event_id, .. } = *recorded;
        Ok(Self { position, sequence, event_id, tenant, id, body })
    }
}

#[cfg(test)]
mod tests {
    use nsl_schemas::event::rejection;
    use nsl_schemas::event::wallet::WalletEvent;

    use super::*;

    fn recorded(aggregate_id: &str, event_type: &str, version: &str, payload: &str) -> RecordedEvent {
        RecordedEvent {
            position: 7,
            aggregate_type: "wallet".into(),
            aggregate_id: aggregate_id.into(),
            sequence: 2,
            event_id: Uuid::nil(),
            command_id: Uuid::nil(),
            event_type: event_type.into(),
            event_version: version.into(),
            payload: payload.into(),
            metadata: "{}".into(),
            recorded_at_ms: 0,
            content_hash: [0; 32],
        }
    }

    #[test]
    fn what_the_log_should_not_hold_is_named() {
        for (aggregate_id, event_type, version, payload, expected) in [
            ("acme.main", "key-created", "2.0.0", "{}", "in version \"2.0.0\" is from the future"),
            ("acme", "key-created", "1.0.0", "{}", "not of the form <tenant>.<id>"),
            ("acme.main", "key-created", "1.0.0", "{}", "payload of \"key-created\""),
            ("acme.main", rejection::NAME, "1.0.0", "{}", "\"command-rejected\" of \"wallet\""),
        ] {
            let found = LogEvent::<WalletEvent>::read(&recorded(aggregate_id, event_type, version, payload));
            let error = found.unwrap_err().to_string();
            assert!(error.contains(expected), "{error:?} should contain {expected:?}");
        }
    }

    #[test]
    fn an_event_has_its_place_and_its_stream() {
        let expired = r#"{"block_index":7,"event":"transfer-expired","request_id":"00000000-0000-0000-0000-000000000001","tx_hash":"0x1"}"#;
        let event =
            LogEvent::<WalletEvent>::read(&recorded("acme.main", "transfer-expired", "1.0.0", expired));
        let event = event.unwrap();
        assert_eq!(
            (event.position, event.sequence, event.tenant.as_str(), event.id.as_str()),
            (7, 2, "acme", "main")
        );
        assert!(matches!(event.body, WalletEvent::TransferExpired(_)));
    }
}
