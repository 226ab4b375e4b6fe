//! Events: past facts, as the log stores them. A stored version is never edited; a changed meaning is a new version,
//! and [`Stored::decode`] reads every version as the newest.

pub mod authority;
mod decode;
pub mod price_feed;
pub mod rejection;
pub mod sealing;
pub mod secret;
mod types;
pub mod wallet;
pub mod worker;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use decode::{Error as DecodeError, Stored};
pub use types::{EventType, Upcast, VERSION};

use crate::nkey::PublicKey;
use crate::number::UnixMs;

/// The header of a published event that holds the version of its schema. A message without it was published before
/// there was a second version of any, so its version is [`VERSION`].
pub const HEADER_SCHEMA_VERSION: &str = "ce-nslschemaversion";

/// Who caused an event and how; stored beside the payload. All values are texts: stock cqrs-es reads metadata as a map of
/// texts and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Metadata {
    /// The command that caused it.
    pub command_id: Uuid,
    /// When the processor decided, Unix ms.
    pub decided_at_ms: UnixMs,
    /// The event's own id; see [`crate::ids::event_id`].
    pub event_id: Uuid,
    /// Who issued that command.
    pub issuer: PublicKey,
    /// W3C trace context of the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// An aggregate's events, as the log names them.
pub trait WireEvent: Serialize + DeserializeOwned {
    /// Every type of event that the aggregate has.
    const TYPES: &'static [EventType];

    /// The type of this one.
    fn event_type(&self) -> &'static EventType;

    /// Its name: the log's `event_type`.
    fn event_name(&self) -> &'static str {
        self.event_type().name
    }

    /// The version in which it is written: the log's `event_version`.
    fn event_version(&self) -> &'static str {
        self.event_type().version
    }
}

/// A type of event: in its first version unless it says `in` which and `from` which upcasts.
macro_rules! event_type {
    ($aggregate:literal, $event:literal) => {
        $crate::event::types::EventType::first($aggregate, $event)
    };
    ($aggregate:literal, $event:literal, $version:literal, $upcasts:expr) => {
        $crate::event::types::EventType {
            aggregate: $aggregate,
            name: $event,
            version: $version,
            upcasts: $upcasts,
        }
    };
}
pub(crate) use event_type;

/// Declares an aggregate's event enum: the name of each event is the log's `event_type` and the subject's last token.
macro_rules! events {
    ($(#[$doc:meta])* $name:ident of $aggregate:literal {
        $($(#[doc = $variant_doc:literal])+
        $variant:ident = $event:literal $(in $version:literal from $upcasts:ident)?),+ $(,)?
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[serde(tag = "event")]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        pub enum $name {
            $($(#[doc = $variant_doc])+ #[serde(rename = $event)] $variant($variant)),+
        }

        impl $name {
            /// Every event with the schema of its payload.
            #[cfg(feature = "schema")]
            pub(crate) fn schemas() -> Vec<crate::schema::DescribedEvent> {
                vec![$(crate::schema::DescribedEvent {
                    event_type: crate::event::event_type!($aggregate, $event $(, $version, $upcasts)?),
                    summary: concat!($($variant_doc),+).trim_start(),
                    schema: crate::schema::tagged::<$variant>("event", $event),
                }),+]
            }
        }

        impl crate::event::WireEvent for $name {
            const TYPES: &'static [crate::event::types::EventType] =
                &[$(crate::event::event_type!($aggregate, $event $(, $version, $upcasts)?)),+];

            fn event_type(&self) -> &'static crate::event::types::EventType {
                match self {
                    $(Self::$variant(_) => {
                        const { &crate::event::event_type!($aggregate, $event $(, $version, $upcasts)?) }
                    }),+
                }
            }
        }

        $(impl From<$variant> for $name {
            fn from(event: $variant) -> Self {
                Self::$variant(event)
            }
        })+
    };
}
pub(crate) use events;

/// Declares the enum of all aggregates' events.
macro_rules! families {
    ($($variant:ident = $family:ty),+ $(,)?) => {
        /// Any event of the log.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
        #[serde(untagged)]
        pub enum Event {
            $(#[doc = concat!("See [`", stringify!($family), "`].")] $variant($family)),+
        }

        impl Event {
            /// Its type.
            pub fn event_type(&self) -> &'static EventType {
                match self { $(Self::$variant(event) => event.event_type()),+ }
            }
        }

        impl Stored<'_> {
            /// The typed event of whatever aggregate it is.
            pub fn decode_any(self) -> Result<Event, decode::Error> {
                $(if <$family>::TYPES.iter().any(|known| known.aggregate == self.aggregate_type) {
                    return self.decode().map(Event::$variant);
                })+
                Err(self.unknown())
            }
        }

        $(impl From<$family> for Event {
            fn from(event: $family) -> Self {
                Self::$variant(event)
            }
        })+

        /// Every type of event that the log may hold.
        pub fn types() -> impl Iterator<Item = &'static EventType> {
            [$(<$family>::TYPES),+].into_iter().flatten()
        }
    };
}

families! {
    Authority = authority::AuthorityEvent,
    PriceFeed = price_feed::PriceFeedEvent,
    Rejection = rejection::CommandRejected,
    Sealing = sealing::SealingEvent,
    Secret = secret::SecretEvent,
    Wallet = wallet::WalletEvent,
    Worker = worker::WorkerEvent,
}

/// Every event with the schema of its payload.
#[cfg(feature = "schema")]
pub fn schemas() -> Vec<crate::schema::DescribedEvent> {
    let rejected = crate::schema::DescribedEvent {
        event_type: rejection::TYPE,
        summary: "A rule said no to an authenticated command.",
        schema: crate::schema::published::<rejection::CommandRejected>(),
    };
    [
        authority::AuthorityEvent::schemas(),
        price_feed::PriceFeedEvent::schemas(),
        vec![rejected],
        sealing::SealingEvent::schemas(),
        secret::SecretEvent::schemas(),
        wallet::WalletEvent::schemas(),
        worker::WorkerEvent::schemas(),
    ]
    .concat()
}

#[cfg(all(test, feature = "schema"))]
mod tests {
    use super::*;
    use crate::command::Command;

    #[test]
    fn every_aggregate_that_takes_commands_has_events_with_schemas() {
        let described = schemas();
        for aggregate in Command::AGGREGATES {
            assert!(described.iter().any(|one| one.event_type.aggregate == *aggregate), "{aggregate}");
        }
    }
}
