//! The one way from a stored event to a typed one of the newest version. Every reader of the log and of its streams
//! goes it, so that a stored event means the same to all of them.
//!
//! An event type or version that is not in the registry was written by a newer build. It is an error apart from a
//! payload that is not what its version says: the reader stops at it and goes on once it is a newer build itself. An
//! unknown member of a known version is of the second kind: nothing that was written is left out of what is read.

use serde_json::Value;

use super::WireEvent;
use crate::canonical;

/// An event as the log or its stream holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored<'a> {
    /// Its stream's type.
    pub aggregate_type: &'a str,
    /// Its name.
    pub event_type: &'a str,
    /// The version of its schema.
    pub event_version: &'a str,
    /// Its JSON text.
    pub payload: &'a str,
}

/// Why a stored event cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A newer build wrote it: this one does not know the type or its version.
    #[error(
        "{event_type:?} of {aggregate_type:?} in version {event_version:?} is from the future: this build is older than the event"
    )]
    FromTheFuture {
        /// Its stream's type.
        aggregate_type: String,
        /// Its name.
        event_type: String,
        /// Its version.
        event_version: String,
    },
    /// The payload is not what its type and version say.
    #[error("payload of {event_type:?} cannot be read")]
    Payload {
        /// The type.
        event_type: String,
        /// Why.
        #[source]
        source: canonical::Error,
    },
    /// The payload is another event's.
    #[error("payload holds {found:?}, its name is {event_type:?}")]
    Type {
        /// What the event is called.
        event_type: String,
        /// What the payload is.
        found: &'static str,
    },
}

impl Error {
    /// Whether a newer build would read it.
    pub fn is_from_the_future(&self) -> bool {
        matches!(self, Self::FromTheFuture { .. })
    }
}

impl Stored<'_> {
    pub(super) fn unknown(self) -> Error {
        Error::FromTheFuture {
            aggregate_type: self.aggregate_type.to_owned(),
            event_type: self.event_type.to_owned(),
            event_version: self.event_version.to_owned(),
        }
    }

    /// The typed event, in the newest version.
    pub fn decode<E: WireEvent>(self) -> Result<E, Error> {
        let Self { aggregate_type, event_type, event_version, payload } = self;
        let known =
            E::TYPES.iter().find(|known| known.aggregate == aggregate_type && known.name == event_type);
        let Some(upcasts) = known.and_then(|known| known.upcasts_from(event_version)) else {
            return Err(self.unknown());
        };
        let unreadable = |source| Error::Payload { event_type: event_type.to_owned(), source };
        let event: E = if upcasts.is_empty() {
            canonical::from_slice(payload.as_bytes()).map_err(unreadable)?
        } else {
            let old: Value = canonical::from_slice(payload.as_bytes()).map_err(unreadable)?;
            let new = upcasts.iter().fold(old, |payload, upcast| upcast.apply(payload));
            serde_json::from_value(new).map_err(|error| unreadable(error.into()))?
        };
        match event.event_type().name {
            found if found != event_type => Err(Error::Type { event_type: event_type.to_owned(), found }),
            _ => Ok(event),
        }
    }
}

#[cfg(test)]
#[allow(
    unreachable_pub,
    dead_code,
    reason = "the macro declares families for the contract; this one is not in it"
)]
mod tests {
    use serde::{Deserialize, Serialize};
    use serde_json::json;

    use super::*;
    use crate::event::events;
    use crate::event::types::Upcast;

    /// `moved` once was in metres, then in millimetres, then got a reason, then a direction instead of a sign.
    const MOVED: &[Upcast] = &[
        Upcast { from: "1.0.0", change: Some(into_millimetres) },
        Upcast { from: "2.0.0", change: None },
        Upcast { from: "2.1.0", change: Some(into_direction) },
    ];

    events! {
        /// A family with a past.
        SampleEvent of "sample" {
            /// It was made.
            Made = "made",
            /// It was moved.
            Moved = "moved" in "3.0.0" from MOVED,
        }
    }

    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
    pub struct Made {}

    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
    pub struct Moved {
        back: bool,
        distance_mm: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    }

    fn into_millimetres(mut payload: Value) -> Value {
        if let Value::Object(members) = &mut payload
            && let Some(metres) = members.remove("metres").and_then(|metres| metres.as_i64())
        {
            members.insert("millimetres".to_owned(), json!(metres * 1000));
        }
        payload
    }

    fn into_direction(mut payload: Value) -> Value {
        if let Value::Object(members) = &mut payload
            && let Some(signed) = members.remove("millimetres").and_then(|signed| signed.as_i64())
        {
            members.insert("back".to_owned(), json!(signed < 0));
            members.insert("distance_mm".to_owned(), json!(signed.unsigned_abs()));
        }
        payload
    }

    fn read(event_type: &str, event_version: &str, payload: &str) -> Result<SampleEvent, Error> {
        Stored { aggregate_type: "sample", event_type, event_version, payload }.decode()
    }

    #[test]
    fn every_version_becomes_the_newest() {
        let moved = |back, distance_mm, reason: Option<&str>| {
            SampleEvent::from(Moved { back, distance_mm, reason: reason.map(str::to_owned) })
        };
        for (version, payload, expected) in [
            ("1.0.0", r#"{"event":"moved","metres":-2}"#, moved(true, 2_000, None)),
            ("2.0.0", r#"{"event":"moved","millimetres":7}"#, moved(false, 7, None)),
            ("2.1.0", r#"{"event":"moved","millimetres":7,"reason":"wind"}"#, moved(false, 7, Some("wind"))),
            ("3.0.0", r#"{"back":true,"distance_mm":1,"event":"moved"}"#, moved(true, 1, None)),
        ] {
            assert_eq!(read("moved", version, payload).unwrap(), expected, "{version}");
        }
        assert_eq!(moved(true, 1, None).event_version(), "3.0.0");
        assert_eq!(read("made", "1.0.0", r#"{"event":"made"}"#).unwrap().event_version(), "1.0.0");
    }

    #[test]
    fn what_a_newer_build_wrote_is_told_from_what_is_damaged() {
        let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
        for (event_type, version, payload, from_the_future) in [
            ("moved", "3.1.0", r#"{"back":true,"distance_mm":1,"event":"moved"}"#, true),
            ("moved", "4.0.0", "{}", true),
            ("moved", "", "{}", true),
            ("made", "1.0.1", r#"{"event":"made"}"#, true),
            ("unheard-of", "1.0.0", "not json", true),
            ("moved", "3.0.0", "not json", false),
            ("moved", "3.0.0", r#"{"back":true,"distance_mm":1,"event":"moved","speed":3}"#, false),
            ("moved", "3.0.0", r#"{"metres":1,"event":"moved"}"#, false),
            ("moved", "1.0.0", r#"{"metres":"far","event":"moved"}"#, false),
            ("moved", "1.0.0", "[]", false),
            ("moved", "3.0.0", r#"{"event":"made"}"#, false),
            ("made", "1.0.0", deep.as_str(), false),
        ] {
            let error = read(event_type, version, payload).unwrap_err();
            assert_eq!(error.is_from_the_future(), from_the_future, "{event_type} {version}: {error}");
        }
        let foreign =
            Stored { aggregate_type: "other", event_type: "made", event_version: "1.0.0", payload: "{}" };
        assert!(foreign.decode::<SampleEvent>().unwrap_err().is_from_the_future());
    }

    #[test]
    fn a_payload_under_another_name_is_refused() {
        let error = read("moved", "3.0.0", r#"{"event":"made"}"#).unwrap_err();
        assert!(matches!(error, Error::Type { found: "made", .. }), "{error}");
    }
}
