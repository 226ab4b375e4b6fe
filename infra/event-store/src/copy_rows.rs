//! Decodes the rows of a `COPY … TO STDOUT (FORMAT binary)` over the log, straight from the message into a page.

use uuid::Uuid;

use crate::event_page::{CommandView, EventPage, EventView};

/// The columns of an event, in the order that [`Rows::push`] reads them.
pub(crate) const EVENT_COLUMNS: &str = "e.position, e.aggregate_type, e.aggregate_id, e.sequence, e.event_type, \
     e.event_version, e.payload, e.metadata, e.event_id, e.command_id, e.recorded_at, e.content_hash";
/// What follows them where commands are asked for; null beside events that are no command's first.
pub(crate) const COMMAND_COLUMNS: &str = "c.subject, c.envelope, c.payload";

/// What every binary copy begins with; two 32-bit fields follow, flags and the length of an extension.
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
/// The field count that stands in place of a row at the end.
const END: i16 = -1;
/// Microseconds from 1970 to 2000, from where Postgres counts.
const POSTGRES_EPOCH_US: i64 = 946_684_800_000_000;

/// Why a row cannot be read: no server that keeps the protocol sends such.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    #[error("copied data does not begin with the signature of the binary format")]
    Signature,
    #[error("a row ends within a field")]
    Truncated,
    #[error("a row has {found} fields instead of {expected}")]
    FieldCount { found: i16, expected: i16 },
    #[error("field {field} is null")]
    Null { field: i16 },
    #[error("field {field} has {found} bytes instead of {expected}")]
    Width { field: i16, found: usize, expected: usize },
    #[error("field {field} is not UTF-8")]
    Text { field: i16 },
    #[error("field {field} is negative")]
    Negative { field: i16 },
}

/// Decodes one copy's messages.
#[derive(Debug)]
pub(crate) struct Rows {
    fields: i16,
    with_commands: bool,
    began: bool,
}

impl Rows {
    /// Of a copy of [`EVENT_COLUMNS`], followed by [`COMMAND_COLUMNS`] where there are commands.
    pub(crate) fn new(with_commands: bool) -> Self {
        Self { fields: if with_commands { 15 } else { 12 }, with_commands, began: false }
    }

    /// Adds the rows of a message, which Postgres never splits over messages.
    pub(crate) fn push(&mut self, message: &[u8], page: &mut EventPage) -> Result<(), Error> {
        let mut cursor = Cursor { rest: message, field: 0 };
        if !self.began {
            cursor.skip_header()?;
            self.began = true;
        }
        while !cursor.rest.is_empty() {
            let found = i16::from_be_bytes(cursor.array()?);
            if found == END {
                return Ok(());
            }
            if found != self.fields {
                return Err(Error::FieldCount { found, expected: self.fields });
            }
            let event = cursor.event(self.with_commands)?;
            page.push(&event);
        }
        Ok(())
    }
}

struct Cursor<'a> {
    rest: &'a [u8],
    field: i16,
}

impl<'a> Cursor<'a> {
    fn skip_header(&mut self) -> Result<(), Error> {
        self.rest = self.rest.strip_prefix(SIGNATURE).ok_or(Error::Signature)?;
        let _flags: [u8; 4] = self.array()?;
        let extension = u32::from_be_bytes(self.array()?);
        self.take(usize::try_from(extension).map_err(|_| Error::Truncated)?)?;
        Ok(())
    }

    fn event(&mut self, with_command: bool) -> Result<EventView<'a>, Error> {
        self.field = 0;
        let position = self.number()?;
        let aggregate_type = self.text()?;
        let aggregate_id = self.text()?;
        let sequence = self.number()?;
        let event_type = self.text()?;
        let event_version = self.text()?;
        let payload = self.text()?;
        let metadata = self.text()?;
        let event_id = Uuid::from_bytes(self.fixed()?);
        let command_id = Uuid::from_bytes(self.fixed()?);
        let recorded_at_us = i64::from_be_bytes(self.fixed()?).saturating_add(POSTGRES_EPOCH_US);
        let content_hash = self.fixed()?;
        let command = if with_command { self.command()? } else { None };
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

    fn command(&mut self) -> Result<Option<CommandView<'a>>, Error> {
        let subject = self.optional_text()?;
        let envelope = self.optional_text()?;
        let payload = self.optional_text()?;
        match (subject, envelope, payload) {
            (None, None, None) => Ok(None),
            (Some(subject), Some(envelope), Some(payload)) => {
                Ok(Some(CommandView { subject, envelope, payload }))
            }
            _ => Err(Error::Null { field: self.field }),
        }
    }

    fn number(&mut self) -> Result<u64, Error> {
        let number = i64::from_be_bytes(self.fixed()?);
        u64::try_from(number).map_err(|_| Error::Negative { field: self.field })
    }

    fn text(&mut self) -> Result<&'a str, Error> {
        self.optional_text()?.ok_or(Error::Null { field: self.field })
    }

    fn optional_text(&mut self) -> Result<Option<&'a str>, Error> {
        let Some(bytes) = self.field()? else { return Ok(None) };
        std::str::from_utf8(bytes).map(Some).map_err(|_| Error::Text { field: self.field })
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let bytes = self.field()?.ok_or(Error::Null { field: self.field })?;
        let width = |_| Error::Width { field: self.field, found: bytes.len(), expected: N };
        bytes.try_into().map_err(width)
    }

    /// The next field's bytes behind their length; −1 is null.
    fn field(&mut self) -> Result<Option<&'a [u8]>, Error> {
        self.field += 1;
        match i32::from_be_bytes(self.array()?) {
            -1 => Ok(None),
            length => self.take(usize::try_from(length).map_err(|_| Error::Truncated)?).map(Some),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Error::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn take(&mut self, bytes: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.rest.split_at_checked(bytes).ok_or(Error::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }
}

#[cfg(test)]
#[path = "copy_rows_tests.rs"]
mod tests;
