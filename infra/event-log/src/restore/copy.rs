//! Rows for `COPY … FROM STDIN (FORMAT binary)`, encoded straight from a page.

use nsl_event_store::{EventPage, EventView, Receipt};

use super::Error;

/// What every binary copy begins with: signature, no flags, no extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// The field count that stands in place of a row at the end.
const END: i16 = -1;
/// Microseconds from 1970 to 2000, from where Postgres counts.
const POSTGRES_EPOCH_US: i64 = 946_684_800_000_000;

/// The columns of [`events`].
pub(super) const EVENTS: &str = "COPY public.events (position, aggregate_type, aggregate_id, sequence, event_type, \
     event_version, payload, metadata, event_id, command_id, recorded_at, content_hash) FROM STDIN (FORMAT binary)";
/// The columns of [`envelopes`].
pub(super) const ENVELOPES: &str =
    "COPY public.envelopes (position, command_id, subject, envelope, payload) FROM STDIN (FORMAT binary)";
/// The columns of [`receipts`].
pub(super) const RECEIPTS: &str = "COPY public.receipts (command_id, issuer, request_hash, first_position, \
     event_count, answer) FROM STDIN (FORMAT binary)";

/// A page's events.
pub(super) fn events(page: &EventPage) -> Result<Vec<u8>, Error> {
    let mut rows = Rows::new();
    for event in page.iter() {
        rows.row(12);
        rows.number(position(&event)?);
        rows.text(event.aggregate_type);
        rows.text(event.aggregate_id);
        rows.number(bounded(event.sequence, event.position, "sequence")?);
        for text in [event.event_type, event.event_version, event.payload, event.metadata] {
            rows.text(text);
        }
        rows.field(event.event_id.as_bytes());
        rows.field(event.command_id.as_bytes());
        let recorded_at = event.recorded_at_us.checked_sub(POSTGRES_EPOCH_US);
        rows.number(recorded_at.ok_or(Error::Number { position: event.position, what: "time" })?);
        rows.field(&event.content_hash);
    }
    Ok(rows.finish())
}

/// The commands of a page's events.
pub(super) fn envelopes(page: &EventPage) -> Result<Vec<u8>, Error> {
    let mut rows = Rows::new();
    for event in page.iter() {
        let Some(command) = event.command else { continue };
        rows.row(5);
        rows.number(position(&event)?);
        rows.field(event.command_id.as_bytes());
        for text in [command.subject, command.envelope, command.payload] {
            rows.text(text);
        }
    }
    Ok(rows.finish())
}

/// Receipts.
pub(super) fn receipts(receipts: &[Receipt]) -> Result<Vec<u8>, Error> {
    let mut rows = Rows::new();
    for receipt in receipts {
        let position = receipt.first_position;
        rows.row(6);
        rows.field(receipt.command_id.as_bytes());
        rows.text(&receipt.issuer);
        rows.field(&receipt.request_hash);
        rows.number(bounded(position, position, "position")?);
        let count = i32::try_from(receipt.event_count);
        rows.field(&count.map_err(|_| Error::Number { position, what: "count of events" })?.to_be_bytes());
        rows.text(&receipt.answer);
    }
    Ok(rows.finish())
}

fn position(event: &EventView<'_>) -> Result<i64, Error> {
    bounded(event.position, event.position, "position")
}

fn bounded(number: u64, position: u64, what: &'static str) -> Result<i64, Error> {
    i64::try_from(number).map_err(|_| Error::Number { position, what })
}

/// A copy's bytes.
struct Rows(Vec<u8>);

impl Rows {
    fn new() -> Self {
        Self(HEADER.to_vec())
    }

    fn row(&mut self, fields: i16) {
        self.0.extend_from_slice(&fields.to_be_bytes());
    }

    fn number(&mut self, number: i64) {
        self.field(&number.to_be_bytes());
    }

    fn text(&mut self, text: &str) {
        self.field(text.as_bytes());
    }

    /// A block's texts have at most 4 MiB together, far below the bound of a length.
    fn field(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(&i32::try_from(bytes.len()).unwrap_or(i32::MAX).to_be_bytes());
        self.0.extend_from_slice(bytes);
    }

    fn finish(mut self) -> Vec<u8> {
        self.row(END);
        self.0
    }
}
