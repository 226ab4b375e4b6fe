//! One block before compression: its events' fixed fields one after the other, then all their texts.

use nsl_event_store::{CommandView, EventPage, EventView};
use uuid::Uuid;

use super::{Error, MAX_BLOCK_BYTES, MAX_BLOCK_EVENTS, limit};

/// First position and count.
const HEAD_BYTES: usize = 8 + 4;
/// Sequence, two ids, time, hash, four short and two long texts, and the command's presence and texts.
const EVENT_BYTES: usize = 8 + 16 + 16 + 8 + 32 + 4 * 2 + 2 * 4 + 1 + 2 + 2 * 4;

/// Writes a page as a block.
pub(super) fn encode(page: &EventPage) -> Result<Vec<u8>, Error> {
    limit("events in a block", page.len(), MAX_BLOCK_EVENTS)?;
    let bytes = HEAD_BYTES + page.len() * EVENT_BYTES + page.text_bytes();
    limit("bytes of a block", bytes, MAX_BLOCK_BYTES)?;
    let mut out = Vec::with_capacity(bytes);
    let first = page.get(0).map_or(0, |event| event.position);
    out.extend_from_slice(&first.to_be_bytes());
    push_length::<4>(&mut out, page.len())?;
    for event in page.iter() {
        push_fixed(&mut out, &event)?;
    }
    for event in page.iter() {
        for text in texts(&event) {
            out.extend_from_slice(text.as_bytes());
        }
    }
    Ok(out)
}

fn texts<'a>(event: &EventView<'a>) -> impl Iterator<Item = &'a str> {
    let own = [
        event.aggregate_type,
        event.aggregate_id,
        event.event_type,
        event.event_version,
        event.payload,
        event.metadata,
    ];
    let command = event.command.map(|command| [command.subject, command.envelope, command.payload]);
    own.into_iter().chain(command.into_iter().flatten())
}

fn push_fixed(out: &mut Vec<u8>, event: &EventView<'_>) -> Result<(), Error> {
    out.extend_from_slice(&event.sequence.to_be_bytes());
    out.extend_from_slice(event.event_id.as_bytes());
    out.extend_from_slice(event.command_id.as_bytes());
    out.extend_from_slice(&event.recorded_at_us.to_be_bytes());
    out.extend_from_slice(&event.content_hash);
    for name in [event.aggregate_type, event.aggregate_id, event.event_type, event.event_version] {
        push_length::<2>(out, name.len())?;
    }
    push_length::<4>(out, event.payload.len())?;
    push_length::<4>(out, event.metadata.len())?;
    out.push(u8::from(event.command.is_some()));
    let none = CommandView { subject: "", envelope: "", payload: "" };
    let command = event.command.unwrap_or(none);
    push_length::<2>(out, command.subject.len())?;
    push_length::<4>(out, command.envelope.len())?;
    push_length::<4>(out, command.payload.len())
}

/// Writes a length as so many big-endian bytes.
fn push_length<const BYTES: usize>(out: &mut Vec<u8>, length: usize) -> Result<(), Error> {
    limit("bytes of a text", length, (1 << (8 * BYTES)) - 1)?;
    let bytes = (length as u64).to_be_bytes();
    out.extend_from_slice(&bytes[bytes.len() - BYTES..]);
    Ok(())
}

/// Reads a block that must begin at a position; the error says what is wrong with it.
pub(super) fn decode(bytes: &[u8], first_position: u64) -> Result<EventPage, &'static str> {
    let mut fixed = Fixed { rest: bytes };
    if fixed.u64()? != first_position {
        return Err("it does not begin where the block before it ends");
    }
    let count = fixed.length::<4>()?;
    if !(1..=MAX_BLOCK_EVENTS).contains(&count) {
        return Err("it has no event or too many");
    }
    let (fixed_bytes, text) =
        fixed.rest.split_at_checked(count * EVENT_BYTES).ok_or("it ends within an event's fixed fields")?;
    let text = std::str::from_utf8(text).map_err(|_| "its text is not UTF-8")?;
    let mut fixed = Fixed { rest: fixed_bytes };
    let mut texts = Texts { rest: text };
    let mut page = EventPage::with_capacity(count, text.len());
    for position in (first_position..).take(count) {
        page.push(&event(position, &mut fixed, &mut texts)?);
    }
    if page.len() == count && texts.rest.is_empty() {
        Ok(page)
    } else {
        Err("it has more text than its events")
    }
}

fn event<'a>(
    position: u64,
    fixed: &mut Fixed<'_>,
    texts: &mut Texts<'a>,
) -> Result<EventView<'a>, &'static str> {
    let sequence = fixed.u64()?;
    let event_id = Uuid::from_bytes(fixed.array()?);
    let command_id = Uuid::from_bytes(fixed.array()?);
    let recorded_at_us = i64::from_be_bytes(fixed.array()?);
    let content_hash = fixed.array()?;
    let aggregate_type = texts.take(fixed.length::<2>()?)?;
    let aggregate_id = texts.take(fixed.length::<2>()?)?;
    let event_type = texts.take(fixed.length::<2>()?)?;
    let event_version = texts.take(fixed.length::<2>()?)?;
    let payload = texts.take(fixed.length::<4>()?)?;
    let metadata = texts.take(fixed.length::<4>()?)?;
    let [has_command] = fixed.array()?;
    let command = CommandView {
        subject: texts.take(fixed.length::<2>()?)?,
        envelope: texts.take(fixed.length::<4>()?)?,
        payload: texts.take(fixed.length::<4>()?)?,
    };
    let command = match has_command {
        1 => Some(command),
        0 if command.subject.is_empty() && command.envelope.is_empty() && command.payload.is_empty() => None,
        _ => return Err("an event says neither that it has a command nor that it has none"),
    };
    Ok(EventView {
        position,
        aggregate_type,
        aggregate_id,
        sequence,
        event_id,
        command_id,
        event_type,
        event_version,
        payload,
        metadata,
        recorded_at_us,
        content_hash,
        command,
    })
}

/// What is left of the fixed fields.
struct Fixed<'a> {
    rest: &'a [u8],
}

impl Fixed<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], &'static str> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or("it ends within a fixed field")?;
        self.rest = rest;
        Ok(*taken)
    }

    fn u64(&mut self) -> Result<u64, &'static str> {
        self.array().map(u64::from_be_bytes)
    }

    fn length<const BYTES: usize>(&mut self) -> Result<usize, &'static str> {
        let bytes: [u8; BYTES] = self.array()?;
        Ok(bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)))
    }
}

/// What is left of the texts.
struct Texts<'a> {
    rest: &'a str,
}

impl<'a> Texts<'a> {
    /// The next so many bytes, if they are whole characters.
    fn take(&mut self, bytes: usize) -> Result<&'a str, &'static str> {
        let (taken, rest) =
            self.rest.split_at_checked(bytes).ok_or("a text ends beyond it or within a character")?;
        self.rest = rest;
        Ok(taken)
    }
}
