//! Events: past facts, as the log stores them. A stored version is never edited; a changed meaning is a new version.

pub mod authority;
pub mod price_feed;
pub mod rejection;
pub mod wallet;
pub mod worker;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::nkey::PublicKey;
use crate::number::UnixMs;

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
pub trait WireEvent {
    /// The event's name: the log's `event_type`.
    fn event_name(&self) -> &'static str;
}

/// Declares an aggregate's event enum: the name of each event is the log's `event_type` and the subject's last token.
macro_rules! events {
    ($(#[$doc:meta])* $name:ident { $($(#[doc = $variant_doc:literal])+ $variant:ident = $event:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[serde(tag = "event")]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        pub enum $name {
            $($(#[doc = $variant_doc])+ #[serde(rename = $event)] $variant($variant)),+
        }

        impl $name {
            /// Every event's name.
            pub const NAMES: &'static [&'static str] = &[$($event),+];

            /// Every event with the schema of its payload.
            #[cfg(feature = "schema")]
            pub(crate) fn schemas(aggregate: &'static str) -> Vec<crate::schema::Described> {
                vec![$(crate::schema::Described {
                    aggregate,
                    name: $event,
                    summary: concat!($($variant_doc),+).trim_start(),
                    schema: crate::schema::tagged::<$variant>("event", $event),
                }),+]
            }
        }

        impl crate::event::WireEvent for $name {
            fn event_name(&self) -> &'static str {
                match self { $(Self::$variant(_) => $event),+ }
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

/// The version of every event type so far.
pub const VERSION: &str = "1.0.0";

/// Every event with the schema of its payload.
#[cfg(feature = "schema")]
pub fn schemas() -> Vec<crate::schema::Described> {
    let rejected = crate::schema::Described {
        aggregate: rejection::AGGREGATE,
        name: rejection::NAME,
        summary: "A rule said no to an authenticated command.",
        schema: crate::schema::published::<rejection::CommandRejected>(),
    };
    [
        authority::AuthorityEvent::schemas("authority"),
        price_feed::PriceFeedEvent::schemas("price-feed"),
        vec![rejected],
        wallet::WalletEvent::schemas("wallet"),
        worker::WorkerEvent::schemas("worker"),
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
            assert!(described.iter().any(|one| one.aggregate == *aggregate), "{aggregate}");
        }
    }
}
