//! Many events in few allocations: their texts lie one after the other in one buffer, and readers borrow from it.

use serde::Deserialize;
use uuid::Uuid;

use crate::hash::{HashedEvent, command_hash, content_hash};
use crate::record::RecordedEvent;

/// A stretch of the log, in position order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventPage {
    text: String,
    slots: Vec<Slot>,
    position: u64,
}

/// An event's numbers, and where its texts end in the page's buffer. They begin where the event before it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    position: u64,
    sequence: u64,
    event_id: Uuid,
    command_id: Uuid,
    recorded_at_us: i64,
    content_hash: [u8; 32],
    text_start: usize,
    text_ends: [usize; 6],
    command_ends: Option<[usize; 3]>,
}

/// An event as it stands in the log, borrowed from its page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventView<'a> {
    /// Its place in the log, from 1, without a gap.
    pub position: u64,
    /// Its stream's type.
    pub aggregate_type: &'a str,
    /// Its stream's id, `<tenant>.<id>`.
    pub aggregate_id: &'a str,
    /// Its number in its stream, from 1, without a gap.
    pub sequence: u64,
    /// Its own id.
    pub event_id: Uuid,
    /// The command that it was decided by.
    pub command_id: Uuid,
    /// Its type.
    pub event_type: &'a str,
    /// The version of its schema.
    pub event_version: &'a str,
    /// The payload's JSON text, byte for byte as appended.
    pub payload: &'a str,
    /// The metadata's JSON text, byte for byte as appended.
    pub metadata: &'a str,
    /// When the database recorded it, in microseconds since 1970.
    pub recorded_at_us: i64,
    /// The hash that was computed when it was appended.
    pub content_hash: [u8; 32],
    /// For a command's first event, where commands were asked for: the command.
    pub command: Option<CommandView<'a>>,
}

/// A command as it was published, borrowed from the page of its first event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandView<'a> {
    /// The subject it was published on.
    pub subject: &'a str,
    /// Its signed envelope, byte for byte.
    pub envelope: &'a str,
    /// Its payload, byte for byte.
    pub payload: &'a str,
}

impl CommandView<'_> {
    /// The hash that the command's first event covers.
    pub fn hash(&self) -> [u8; 32] {
        command_hash(self.subject, self.envelope, self.payload)
    }
}

impl<'a> EventView<'a> {
    /// Whether the event still is what was appended. Only for events read with their commands.
    pub fn is_intact(&self) -> bool {
        let hashed = HashedEvent {
            aggregate_type: self.aggregate_type,
            aggregate_id: self.aggregate_id,
            sequence: self.sequence,
            event_id: self.event_id,
            event_type: self.event_type,
            event_version: self.event_version,
            payload: self.payload,
            metadata: self.metadata,
        };
        let command = self.command.as_ref().map(CommandView::hash);
        content_hash(&hashed, command.as_ref()) == self.content_hash
    }

    /// The payload as a type, which may borrow from the page.
    pub fn decode<T: Deserialize<'a>>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.payload)
    }

    /// A copy that outlives the page.
    pub fn to_recorded(&self) -> RecordedEvent {
        RecordedEvent {
            position: self.position,
            aggregate_type: self.aggregate_type.to_owned(),
            aggregate_id: self.aggregate_id.to_owned(),
            sequence: self.sequence,
            event_id: self.event_id,
            command_id: self.command_id,
            event_type: self.event_type.to_owned(),
            event_version: self.event_version.to_owned(),
            payload: self.payload.to_owned(),
            metadata: self.metadata.to_owned(),
            recorded_at_ms: self.recorded_at_us.div_euclid(1000),
            content_hash: self.content_hash,
        }
    }
}

impl EventPage {
    /// An empty page with room for so much text.
    pub fn with_capacity(events: usize, text_bytes: usize) -> Self {
        Self { text: String::with_capacity(text_bytes), slots: Vec::with_capacity(events), position: 0 }
    }

    /// Adds the next event of the log.
    pub fn push(&mut self, event: &EventView<'_>) {
        let text_start = self.text.len();
        let text_ends = [
            event.aggregate_type,
            event.aggregate_id,
            event.event_type,
            event.event_version,
            event.payload,
            event.metadata,
        ]
        .map(|text| self.push_text(text));
        let command_ends = event.command.map(|command| {
            [command.subject, command.envelope, command.payload].map(|text| self.push_text(text))
        });
        self.slots.push(Slot {
            position: event.position,
            sequence: event.sequence,
            event_id: event.event_id,
            command_id: event.command_id,
            recorded_at_us: event.recorded_at_us,
            content_hash: event.content_hash,
            text_start,
            text_ends,
            command_ends,
        });
        self.position = event.position;
    }

    fn push_text(&mut self, text: &str) -> usize {
        self.text.push_str(text);
        self.text.len()
    }

    /// Says that every matching event up to this position is in this page or an earlier one.
    pub fn reached(&mut self, position: u64) {
        self.position = position;
    }

    /// Every matching event up to this position is in this page or an earlier one: what a reader keeps as its place.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// How many events it has.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether it has no event.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Bytes of all its texts.
    pub fn text_bytes(&self) -> usize {
        self.text.len()
    }

    /// The event at an index.
    pub fn get(&self, index: usize) -> Option<EventView<'_>> {
        self.slots.get(index).map(|slot| self.view(slot))
    }

    /// The events, in position order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = EventView<'_>> + DoubleEndedIterator {
        self.slots.iter().map(|slot| self.view(slot))
    }

    /// The slots' ends were made by `push_text`, so they lie in order and on borders of whole texts.
    fn view(&self, slot: &Slot) -> EventView<'_> {
        let [aggregate_type, aggregate_id, event_type, event_version, payload, metadata] = slot.text_ends;
        let text = |start: usize, end: usize| &self.text[start..end];
        let command = slot.command_ends.map(|[subject, envelope, command_payload]| CommandView {
            subject: text(metadata, subject),
            envelope: text(subject, envelope),
            payload: text(envelope, command_payload),
        });
        EventView {
            position: slot.position,
            aggregate_type: text(slot.text_start, aggregate_type),
            aggregate_id: text(aggregate_type, aggregate_id),
            sequence: slot.sequence,
            event_id: slot.event_id,
            command_id: slot.command_id,
            event_type: text(aggregate_id, event_type),
            event_version: text(event_type, event_version),
            payload: text(event_version, payload),
            metadata: text(payload, metadata),
            recorded_at_us: slot.recorded_at_us,
            content_hash: slot.content_hash,
            command,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Texts = [String; 6];
    type Command = Option<[String; 3]>;

    fn view<'a>(position: u64, texts: &'a Texts, command: &'a Command) -> EventView<'a> {
        let [aggregate_type, aggregate_id, event_type, event_version, payload, metadata] = texts;
        let command =
            command.as_ref().map(|[subject, envelope, payload]| CommandView { subject, envelope, payload });
        EventView {
            position,
            aggregate_type,
            aggregate_id,
            sequence: position + 7,
            event_id: Uuid::from_u128(u128::from(position) << 64),
            command_id: Uuid::from_u128(u128::from(position)),
            event_type,
            event_version,
            payload,
            metadata,
            recorded_at_us: i64::try_from(position).unwrap() * 1_500,
            content_hash: [u8::try_from(position).unwrap(); 32],
            command,
        }
    }

    proptest! {
        #[test]
        fn a_page_gives_back_what_was_pushed(
            events in prop::collection::vec(
                (prop::array::uniform6(".{0,6}"), prop::option::of(prop::array::uniform3(".{0,6}"))), 0..8,
            ),
        ) {
            let mut page = EventPage::default();
            for ((texts, command), position) in events.iter().zip(1..) {
                page.push(&view(position, texts, command));
            }
            prop_assert_eq!(page.len(), events.len());
            prop_assert_eq!(page.position(), events.len() as u64);
            for (index, ((texts, command), position)) in events.iter().zip(1..).enumerate() {
                prop_assert_eq!(page.get(index).unwrap(), view(position, texts, command));
            }
            prop_assert_eq!(page.get(events.len()), None);
        }
    }

    #[test]
    fn an_event_is_intact_only_with_its_command_and_every_text_as_appended() {
        let texts = ["wallet", "acme.main", "created", "1", "{}", "{}"].map(str::to_owned);
        let command = Some(["subject", "{}", "{}"].map(str::to_owned));
        let mut event = view(1, &texts, &command);
        let hashed = HashedEvent {
            aggregate_type: "wallet",
            aggregate_id: "acme.main",
            sequence: event.sequence,
            event_id: event.event_id,
            event_type: "created",
            event_version: "1",
            payload: "{}",
            metadata: "{}",
        };
        event.content_hash = content_hash(&hashed, Some(&command_hash("subject", "{}", "{}")));
        assert!(event.is_intact());
        assert!(!EventView { command: None, ..event }.is_intact());
        assert!(!EventView { payload: "{ }", ..event }.is_intact());
        let other = CommandView { subject: "other", envelope: "{}", payload: "{}" };
        assert!(!EventView { command: Some(other), ..event }.is_intact());
        assert_eq!(event.to_recorded().recorded_at_ms, 1);
    }
}
