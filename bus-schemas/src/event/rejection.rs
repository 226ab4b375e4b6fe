//! The event of a `rejection` stream: an authenticated command to which a rule said no (D5). It has a stream of its own
//! so that it moves no aggregate's version.

use serde::{Deserialize, Serialize};

use super::{EventType, WireEvent};

/// The aggregate type of rejection streams.
pub const AGGREGATE: &str = "rejection";
/// The event's name.
pub const NAME: &str = "command-rejected";
/// Its type; the payload does not name it, as the stream holds nothing else.
pub(super) const TYPE: EventType = EventType::first(AGGREGATE, NAME);

/// `command-rejected`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CommandRejected {
    /// The command's subject.
    pub subject: String,
    /// Which rule, see [`crate::errors`].
    pub code: String,
    /// What happened.
    pub message: String,
}

impl WireEvent for CommandRejected {
    const TYPES: &'static [EventType] = &[TYPE];

    fn event_type(&self) -> &'static EventType {
        const { &TYPE }
    }
}
