//! Events: past facts, as the log stores them. A stored version is never edited; a changed meaning is a new version.

pub mod authority;
pub mod price_feed;
pub mod rejection;
pub mod wallet;
pub mod worker;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::nkey::PublicKey;

/// Who caused an event and how; stored beside the payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Metadata {
    /// The event's own id; see [`crate::ids::event_id`].
    pub event_id: Uuid,
    /// The command that caused it.
    pub command_id: Uuid,
    /// Who issued that command.
    pub issuer: PublicKey,
    /// When the processor decided, Unix ms.
    #[serde(deserialize_with = "crate::number::below_2_pow_53")]
    pub decided_at_ms: u64,
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
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $event:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[serde(tag = "event")]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $event)] $variant($variant)),+
        }

        impl $name {
            /// Every event's name.
            pub const NAMES: &'static [&'static str] = &[$($event),+];
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
