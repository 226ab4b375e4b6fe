//! Reading the log: pages by position, streams, receipts and envelopes. Every read is bounded.

use std::collections::HashMap;

use sqlx::FromRow;
use sqlx::postgres::PgPool;
use uuid::Uuid;

use crate::hash::command_hash;
use crate::lease::Lease;
use crate::record::{Envelope, Receipt, RecordedEvent};
use crate::replay::first_missing;
use crate::session::{ConnectError, Purpose, answer, open_pool};

/// Events in one page: what a reader holds in memory and a projection commits at once.
pub const MAX_PAGE_EVENTS: u32 = 1_000;
/// Bytes of payload and metadata after which a page ends; only its last event may reach beyond it.
pub const MAX_PAGE_BYTES: u32 = 4 * 1024 * 1024;
/// Positions that one page looks at: bounds the work of a filter that matches seldom.
pub const SCAN_POSITIONS: u64 = 10_000;
/// Receipts asked for at once: as many as one batch has commands.
pub const MAX_RECEIPT_IDS: usize = crate::limits::MAX_COMMANDS_PER_BATCH;

/// Positions asked for at once: with payloads of full size, what a reader holds stays below 32 MiB.
pub const MAX_POSITIONS: usize = 64;

/// Why the log could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The database does not answer; try again.
    #[error("{operation} failed")]
    Unavailable {
        /// What was tried.
        operation: &'static str,
        /// What went wrong.
        #[source]
        source: sqlx::Error,
    },
    /// The database answers what the log cannot hold.
    #[error("{operation} found what the log cannot hold")]
    Corrupt {
        /// What was tried.
        operation: &'static str,
        /// What is wrong with it.
        #[source]
        source: sqlx::Error,
    },
    /// An event does not have the hash that it was appended with: it, its command or the hash was changed in the
    /// database. Nothing is read beyond it until it is mended.
    #[error("event at position {position} is not what was appended")]
    Altered {
        /// The event's position.
        position: u64,
    },
    /// A position at or below the head has no event.
    #[error("position {position} of the log has no event")]
    Missing {
        /// The position.
        position: u64,
    },
    /// The events were archived and their partition was detached; `nsl-event-log` reads and restores them.
    #[error("positions below {available_from} were detached after archiving, asked for was {position}")]
    Archived {
        /// The position that was asked for.
        position: u64,
        /// The first position that is still here.
        available_from: u64,
    },
    /// A stream's events were archived and their partition was detached; `nsl-event-log` reads and restores them.
    #[error(
        "event {sequence} of the stream was detached after archiving: the log here begins at {available_from}"
    )]
    ArchivedStream {
        /// The event's number in its stream.
        sequence: u64,
        /// The first position that is still here.
        available_from: u64,
    },
    /// More was asked for than one answer may hold.
    #[error("{asked} {what} asked for, allowed are 1 to {allowed}")]
    Limit {
        /// What was asked for.
        what: &'static str,
        /// How much was asked for.
        asked: usize,
        /// How much is allowed.
        allowed: usize,
    },
}

impl ReadError {
    pub(crate) fn from_sqlx(operation: &'static str) -> impl Fn(sqlx::Error) -> Self {
        move |source| match source {
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::RowNotFound => {
                Self::Corrupt { operation, source }
            }
            _ => Self::Unavailable { operation, source },
        }
    }

    /// Whether trying again may help; everything else needs a person.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

/// Which events a page shall have; `None`, or no type of stream, is any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only this tenant's.
    pub tenant: Option<String>,
    /// Only streams of these types.
    pub aggregate_types: Vec<String>,
    /// Only events of this type.
    pub event_type: Option<String>,
}

/// Where the log begins and ends in this database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub struct Bounds {
    /// The first position that is not detached.
    #[sqlx(try_from = "i64")]
    pub first_position: u64,
    /// The position of the last event, 0 in an empty log.
    #[sqlx(try_from = "i64")]
    pub head: u64,
}

/// A stretch of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The matching events, in position order.
    pub events: Vec<RecordedEvent>,
    /// The position that this page reaches: every matching event up to it is in this page or an earlier one.
    pub position: u64,
    /// The log's head when the page was read.
    pub head: u64,
}

/// Reads a log; cheap to clone.
#[derive(Clone, Debug)]
pub struct EventReader {
    pub(crate) pool: PgPool,
}

impl EventReader {
    /// Opens a migrated log for reading; the url's role is a member of `nsl_reader` or `nsl_writer`.
    pub async fn connect(url: &str, connections: u32) -> Result<Self, ConnectError> {
        Ok(Self { pool: open_pool(url, Purpose::Read, connections).await? })
    }

    /// The position of the last event, 0 in an empty log.
    pub async fn head(&self) -> Result<u64, ReadError> {
        Ok(self.bounds().await?.head)
    }

    /// Where the log begins and ends in this database.
    pub async fn bounds(&self) -> Result<Bounds, ReadError> {
        const BOUNDS: &str = "SELECT first_position, position AS head FROM log_head WHERE log_id = 1";
        let failed = ReadError::from_sqlx("reading the log's head");
        answer(sqlx::query_as(BOUNDS).fetch_one(&self.pool)).await.map_err(failed)
    }

    /// Reads the next page after a position: at most `limit` events, at most [`SCAN_POSITIONS`] further. Every event
    /// is checked against its hash.
    pub async fn read(&self, after_position: u64, limit: u32, filter: &Filter) -> Result<Page, ReadError> {
        check_count("events", limit as usize, MAX_PAGE_EVENTS as usize)?;
        let Bounds { first_position, head } = self.bounds().await?;
        let upto = head.min(after_position.saturating_add(SCAN_POSITIONS));
        if upto <= after_position {
            return Ok(Page { events: Vec::new(), position: after_position, head });
        }
        if after_position + 1 < first_position {
            return Err(archived(after_position + 1, first_position));
        }
        let (events, complete) = self.events_between(after_position, upto, limit, filter).await?;
        if *filter == Filter::default() {
            let positions = events.iter().map(|event| event.position);
            if let Some(missing) = first_missing(positions, after_position, complete.then_some(upto)) {
                return Err(self.missing(missing).await);
            }
        } else {
            // What a filter leaves out and what was detached meanwhile look the same, so this is asked after reading.
            self.check_available(after_position).await?;
        }
        let position = match events.last() {
            Some(last) if !complete => last.position,
            _ => upto,
        };
        Ok(Page { events, position, head })
    }

    /// The matching events of (after, upto], and whether these are all.
    async fn events_between(
        &self,
        after: u64,
        upto: u64,
        limit: u32,
        filter: &Filter,
    ) -> Result<(Vec<RecordedEvent>, bool), ReadError> {
        let failed = ReadError::from_sqlx("reading the log");
        let bound = |position: u64| i64::try_from(position).unwrap_or(i64::MAX);
        let query = sqlx::query(PAGE)
            .bind(bound(after))
            .bind(bound(upto))
            .bind(&filter.tenant)
            .bind(&filter.aggregate_types)
            .bind(&filter.event_type)
            .bind(i64::from(limit))
            .bind(i64::from(MAX_PAGE_BYTES));
        let rows = answer(query.fetch_all(&self.pool)).await.map_err(&failed)?;
        let mut stored = Vec::with_capacity(rows.len());
        let mut matching = 0;
        for row in &rows {
            stored.push(sqlx::FromRow::from_row(row).map_err(&failed)?);
            matching = sqlx::Row::try_get::<i64, _>(row, "matching").map_err(&failed)?;
        }
        let complete = matching < i64::from(limit) && usize::try_from(matching) == Ok(rows.len());
        Ok((intact(stored)?, complete))
    }

    /// Why a position has no event.
    pub(crate) async fn missing(&self, position: u64) -> ReadError {
        match self.bounds().await {
            Ok(Bounds { first_position, .. }) if position < first_position => {
                archived(position, first_position)
            }
            Ok(_) => {
                tracing::error!(position, "the log has no event at a position below its head");
                ReadError::Missing { position }
            }
            Err(error) => error,
        }
    }

    /// That the events after a position are not detached. Asked after a read, it holds for the read too: detaching moves
    /// [`Bounds::first_position`] in its own transaction.
    pub(crate) async fn check_available(&self, after: u64) -> Result<(), ReadError> {
        let Bounds { first_position, .. } = self.bounds().await?;
        if after + 1 < first_position { Err(archived(after + 1, first_position)) } else { Ok(()) }
    }

    /// All events of a stream after a sequence, in order. Use [`Self::load_aggregate`] to fold a long one.
    pub async fn load_stream(
        &self,
        aggregate_type: &str,
        aggregate_id: &str,
        after_sequence: u64,
    ) -> Result<Vec<RecordedEvent>, ReadError> {
        let mut events = Vec::new();
        let mut after = after_sequence;
        loop {
            let page = self.stream_page(aggregate_type, aggregate_id, after).await?;
            let Some(last) = page.last() else { return Ok(events) };
            after = last.sequence;
            let is_last = page.len() < usize::from(STREAM_PAGE_EVENTS);
            events.extend(page);
            if is_last {
                return Ok(events);
            }
        }
    }

    /// The stream's next events after a sequence; empty at its end.
    pub(crate) async fn stream_page(
        &self,
        aggregate_type: &str,
        aggregate_id: &str,
        after_sequence: u64,
    ) -> Result<Vec<RecordedEvent>, ReadError> {
        let query = sqlx::query_as(STREAM_PAGE)
            .bind(aggregate_type)
            .bind(aggregate_id)
            .bind(i64::try_from(after_sequence).unwrap_or(i64::MAX))
            .bind(i64::from(STREAM_PAGE_EVENTS));
        let stored =
            answer(query.fetch_all(&self.pool)).await.map_err(ReadError::from_sqlx("reading a stream"))?;
        let events = intact(stored)?;
        if events.first().is_none_or(|first| first.sequence != after_sequence + 1) {
            self.check_stream_available(aggregate_type, aggregate_id, after_sequence).await?;
        }
        Ok(events)
    }

    /// That a stream which seems to end, or goes on later than after the sequence, is not one whose events were detached.
    async fn check_stream_available(
        &self,
        aggregate_type: &str,
        aggregate_id: &str,
        after_sequence: u64,
    ) -> Result<(), ReadError> {
        const DETACHED: &str = "SELECT first_position FROM log_head WHERE log_id = 1 AND first_position > 1
             AND EXISTS (SELECT FROM streams WHERE aggregate_type = $1 AND aggregate_id = $2 AND version > $3)";
        let query = sqlx::query_scalar(DETACHED)
            .bind(aggregate_type)
            .bind(aggregate_id)
            .bind(i64::try_from(after_sequence).unwrap_or(i64::MAX));
        let failed = ReadError::from_sqlx("reading a stream");
        let available_from: Option<i64> = answer(query.fetch_optional(&self.pool)).await.map_err(failed)?;
        match available_from {
            None => Ok(()),
            Some(from) => Err(ReadError::ArchivedStream {
                sequence: after_sequence + 1,
                available_from: u64::try_from(from).unwrap_or(0), // a CHECK keeps it from being negative
            }),
        }
    }

    /// The receipts of those of the commands that are committed.
    pub async fn receipts(&self, command_ids: &[Uuid]) -> Result<HashMap<Uuid, Receipt>, ReadError> {
        const RECEIPTS: &str = "SELECT command_id, issuer, request_hash, first_position, event_count, \
                                answer::text AS answer FROM receipts WHERE command_id = ANY ($1)";
        if command_ids.is_empty() {
            return Ok(HashMap::new());
        }
        check_count("receipts", command_ids.len(), MAX_RECEIPT_IDS)?;
        let query = sqlx::query_as(RECEIPTS).bind(command_ids);
        let receipts: Vec<Receipt> =
            answer(query.fetch_all(&self.pool)).await.map_err(ReadError::from_sqlx("reading receipts"))?;
        Ok(receipts.into_iter().map(|receipt| (receipt.command_id, receipt)).collect())
    }

    /// The command whose first event is at the position; `None` at every other position.
    pub async fn envelope(&self, position: u64) -> Result<Option<Envelope>, ReadError> {
        const ENVELOPE: &str =
            "SELECT position, command_id, subject, envelope, payload FROM envelopes WHERE position = $1";
        let query = sqlx::query_as(ENVELOPE).bind(i64::try_from(position).unwrap_or(i64::MAX));
        let envelope = answer(query.fetch_optional(&self.pool))
            .await
            .map_err(ReadError::from_sqlx("reading an envelope"))?;
        if envelope.is_none() {
            self.check_available(position.saturating_sub(1)).await?;
        }
        Ok(envelope)
    }

    /// The commands whose first events are at the positions, in no order; a position without one is left out.
    pub async fn envelopes(&self, positions: &[u64]) -> Result<Vec<Envelope>, ReadError> {
        const ENVELOPES: &str = "SELECT position, command_id, subject, envelope, payload FROM envelopes WHERE position = ANY ($1)";
        check_count("envelopes", positions.len(), MAX_POSITIONS)?;
        let query = sqlx::query_as(ENVELOPES).bind(columns(positions));
        let envelopes: Vec<Envelope> =
            answer(query.fetch_all(&self.pool)).await.map_err(ReadError::from_sqlx("reading envelopes"))?;
        self.check_all_available(positions, envelopes.len()).await?;
        Ok(envelopes)
    }

    /// The events at the positions, in no order, checked; a position beyond the head is left out.
    pub async fn events_at(&self, positions: &[u64]) -> Result<Vec<RecordedEvent>, ReadError> {
        check_count("events", positions.len(), MAX_POSITIONS)?;
        let query = sqlx::query_as(EVENTS_AT).bind(columns(positions));
        let stored =
            answer(query.fetch_all(&self.pool)).await.map_err(ReadError::from_sqlx("reading events"))?;
        let events = intact(stored)?;
        self.check_all_available(positions, events.len()).await?;
        Ok(events)
    }

    /// That what was not found at positions is not what was detached.
    async fn check_all_available(&self, positions: &[u64], found: usize) -> Result<(), ReadError> {
        match positions.iter().min() {
            Some(lowest) if found < positions.len() => self.check_available(lowest.saturating_sub(1)).await,
            _ => Ok(()),
        }
    }

    /// Who holds which partition, by the database's clock.
    pub async fn leases(&self) -> Result<Vec<Lease>, ReadError> {
        const LEASES: &str = "SELECT partition, owner, epoch, \
             (extract(epoch FROM expires_at - clock_timestamp()) * 1000)::bigint AS expires_in_ms \
             FROM partition_lease ORDER BY partition";
        sqlx::query_as(LEASES).fetch_all(&self.pool).await.map_err(ReadError::from_sqlx("reading the leases"))
    }
}

/// Events of a stream read at once: bounds memory at payloads of full size, and is one round trip for most streams.
pub(crate) const STREAM_PAGE_EVENTS: u16 = 256;

/// An event with the command that its hash covers if it is that command's first. A command under another id is not the
/// event's: it is left out, and the hash does not hold.
macro_rules! stored_events {
    ($rest:literal) => {
        concat!(
            "SELECT e.position, e.aggregate_type, e.aggregate_id, e.sequence, e.event_id, e.command_id, e.event_type,
                    e.event_version, e.payload::text AS payload, e.metadata::text AS metadata,
                    (extract(epoch FROM e.recorded_at) * 1000)::bigint AS recorded_at_ms, e.content_hash,
                    c.subject AS command_subject, c.envelope AS command_envelope,
                    c.payload AS command_payload
               FROM events AS e LEFT JOIN envelopes AS c ON c.position = e.position AND c.command_id = e.command_id ",
            $rest
        )
    };
}

const STREAM_PAGE: &str = stored_events!(
    "WHERE e.aggregate_type = $1 AND e.aggregate_id = $2 AND e.sequence > $3 ORDER BY e.sequence LIMIT $4"
);
const EVENTS_AT: &str = stored_events!("WHERE e.position = ANY ($1)");
/// `bytes_before` grows along the page, so the outer condition cuts its tail; the first event always passes.
const PAGE: &str = concat!(
    "SELECT * FROM (
       SELECT *, count(*) OVER () AS matching, sum(bytes) OVER (ORDER BY position) - bytes AS bytes_before
         FROM (SELECT *, octet_length(payload) + octet_length(metadata) + coalesce(octet_length(command_envelope), 0)
                         + coalesce(octet_length(command_payload), 0) AS bytes
                 FROM (",
    stored_events!(
        "AND c.position > $1 AND c.position <= $2
         WHERE e.position > $1 AND e.position <= $2
           AND ($3::text IS NULL OR e.tenant = $3)
           AND (cardinality($4::text[]) = 0 OR e.aggregate_type = ANY ($4))
           AND ($5::text IS NULL OR e.event_type = $5)
         ORDER BY e.position LIMIT $6"
    ),
    ") AS page) AS measured) AS sized WHERE bytes_before < $7 ORDER BY position"
);

/// A row of [`stored_events`].
#[derive(Debug, FromRow)]
struct StoredEvent {
    #[sqlx(flatten)]
    event: RecordedEvent,
    command_subject: Option<String>,
    command_envelope: Option<String>,
    command_payload: Option<String>,
}

/// The events, if all of them are what was appended.
fn intact(stored: Vec<StoredEvent>) -> Result<Vec<RecordedEvent>, ReadError> {
    stored.into_iter().map(StoredEvent::intact).collect()
}

impl StoredEvent {
    fn intact(self) -> Result<RecordedEvent, ReadError> {
        let Self { event, command_subject, command_envelope, command_payload } = self;
        let command = match (&command_subject, &command_envelope, &command_payload) {
            (Some(subject), Some(envelope), Some(payload)) => Some(command_hash(subject, envelope, payload)),
            _ => None,
        };
        if event.hash(command.as_ref()) == event.content_hash {
            Ok(event)
        } else {
            Err(altered(event.position))
        }
    }
}

/// Said aloud here, once for all readers: whatever they do with the error, somebody must look.
pub(crate) fn altered(position: u64) -> ReadError {
    tracing::error!(position, "an event of the log is not what was appended");
    ReadError::Altered { position }
}

fn archived(position: u64, available_from: u64) -> ReadError {
    ReadError::Archived { position, available_from }
}

fn columns(positions: &[u64]) -> Vec<i64> {
    positions.iter().map(|position| i64::try_from(*position).unwrap_or(i64::MAX)).collect()
}

pub(crate) fn check_count(what: &'static str, asked: usize, allowed: usize) -> Result<(), ReadError> {
    if (1..=allowed).contains(&asked) { Ok(()) } else { Err(ReadError::Limit { what, asked, allowed }) }
}
