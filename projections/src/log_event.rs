//! A recorded event as a read model sees it: only what the log holds for ever, so that a replay gives the same rows.

use nsl_event_store::RecordedEvent;
use nsl_schemas::event::{VERSION, WireEvent};
use nsl_schemas::token::{AggregateId, Tenant};
use nsl_schemas::{canonical, subject};
use serde::de::DeserializeOwned;
use uuid::Uuid;

/// Why an event cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A newer writer's, or damaged.
    #[error("event version {found:?} is from the future: this build knows {VERSION:?}")]
    Version {
        /// What the log says.
        found: String,
    },
    /// A newer writer's.
    #[error("event type {event_type:?} is from the future: this build does not know it")]
    Unknown {
        /// The type.
        event_type: String,
    },
    /// The stream's id is not `<tenant>.<id>`.
    #[error(transparent)]
    Stream(#[from] subject::Error),
    /// The payload is not what its type says.
    #[error("payload of {event_type:?} cannot be read")]
    Payload {
        /// The type.
        event_type: String,
        /// Why.
        #[source]
        source: canonical::Error,
    },
    /// The payload is another event's.
    #[error("payload holds {found:?}, the log says {event_type:?}")]
    Type {
        /// What the log says.
        event_type: String,
        /// What the payload is.
        found: &'static str,
    },
}

impl Error {
    /// Whether a newer build would read it.
    pub fn is_from_the_future(&self) -> bool {
        matches!(self, Self::Version { .. } | Self::Unknown { .. })
    }
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

impl<E: DeserializeOwned + WireEvent> LogEvent<E> {
    /// Reads a recorded event.
    pub fn read(recorded: &RecordedEvent) -> Result<Self, Error> {
        let event_type = || recorded.event_type.clone();
        if recorded.event_version != VERSION {
            return Err(Error::Version { found: recorded.event_version.clone() });
        }
        let (tenant, id) = subject::split_stream_id(&recorded.aggregate_id)?;
        let body: E = canonical::from_slice(recorded.payload.as_bytes()).map_err(|source| {
            // serde's words for a tag that the enum does not have.
            if source.to_string().starts_with(&format!("unknown variant `{}`", recorded.event_type)) {
                Error::Unknown { event_type: event_type() }
            } else {
                Error::Payload { event_type: event_type(), source }
            }
        })?;
        if body.event_name() != recorded.event_type {
            return Err(Error::Type { event_type: event_type(), found: body.event_name() });
        }
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
        let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
        for (aggregate_id, event_type, version, payload, expected) in [
            ("acme.main", "key-created", "2.0.0", "{}", "event version \"2.0.0\""),
            ("acme", "key-created", "1.0.0", "{}", "not of the form <tenant>.<id>"),
            ("acme.main", "key-created", "1.0.0", "{}", "payload of \"key-created\""),
            ("acme.main", "key-created", "1.0.0", deep.as_str(), "payload of \"key-created\""),
            ("acme.main", rejection::NAME, "1.0.0", r#"{"event":"unheard-of"}"#, "cannot be read"),
        ] {
            let found = LogEvent::<WalletEvent>::read(&recorded(aggregate_id, event_type, version, payload));
            let error = found.unwrap_err().to_string();
            assert!(error.contains(expected), "{error:?} should contain {expected:?}");
        }
    }

    #[test]
    fn a_payload_under_another_name_is_refused() {
        // Read through a type whose payload parses whatever the name is.
        #[derive(Debug, serde::Deserialize)]
        struct Anything {}
        impl WireEvent for Anything {
            fn event_name(&self) -> &'static str {
                "anything"
            }
        }
        let error =
            LogEvent::<Anything>::read(&recorded("acme.main", "key-created", VERSION, "{}")).unwrap_err();
        assert!(matches!(error, Error::Type { found: "anything", .. }), "{error}");
        let event = LogEvent::<Anything>::read(&recorded("acme.main", "anything", VERSION, "{}")).unwrap();
        assert_eq!(
            (event.position, event.sequence, event.tenant.as_str(), event.id.as_str()),
            (7, 2, "acme", "main")
        );
    }
}
