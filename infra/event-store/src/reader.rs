//! Reading the log: pages by position, streams, receipts and envelopes. Every read is bounded.

use std::collections::HashMap;

use sqlx::postgres::PgPool;
use uuid::Uuid;

use crate::lease::Lease;
use crate::record::{Envelope, Receipt, RecordedEvent};
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
}

/// Which events a page shall have; `None` is any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only this tenant's.
    pub tenant: Option<String>,
    /// Only streams of this type.
    pub aggregate_type: Option<String>,
    /// Only events of this type.
    pub event_type: Option<String>,
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
        let failed = ReadError::from_sqlx("reading the log's head");
        let query = sqlx::query_scalar("SELECT position FROM log_head WHERE log_id = 1");
        let head: i64 = answer(query.fetch_one(&self.pool)).await.map_err(&failed)?;
        u64::try_from(head).map_err(|error| failed(sqlx::Error::Decode(error.into())))
    }

    /// Reads the next page after a position: at most `limit` events, at most [`SCAN_POSITIONS`] further.
    pub async fn read(&self, after_position: u64, limit: u32, filter: &Filter) -> Result<Page, ReadError> {
        check_count("events", limit as usize, MAX_PAGE_EVENTS as usize)?;
        let head = self.head().await?;
        let upto = head.min(after_position.saturating_add(SCAN_POSITIONS));
        if upto <= after_position {
            return Ok(Page { events: Vec::new(), position: after_position, head });
        }
        let (events, complete) = self.events_between(after_position, upto, limit, filter).await?;
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
        // bytes_before grows along the page, so the outer condition cuts its tail; the first event always passes.
        const PAGE: &str = "SELECT * FROM (
            SELECT *, count(*) OVER () AS matching,
                   sum(octet_length(payload) + octet_length(metadata)) OVER (ORDER BY position)
                     - octet_length(payload) - octet_length(metadata) AS bytes_before
              FROM (SELECT position, aggregate_type, aggregate_id, sequence, event_id, command_id, event_type,
                           event_version, payload::text AS payload, metadata::text AS metadata,
                           (extract(epoch FROM recorded_at) * 1000)::bigint AS recorded_at_ms, content_hash
                      FROM events
                     WHERE position > $1 AND position <= $2
                       AND ($3::text IS NULL OR tenant = $3)
                       AND ($4::text IS NULL OR aggregate_type = $4)
                       AND ($5::text IS NULL OR event_type = $5)
                     ORDER BY position LIMIT $6) AS page) AS sized
             WHERE bytes_before < $7 ORDER BY position";
        let failed = ReadError::from_sqlx("reading the log");
        let bound = |position: u64| i64::try_from(position).unwrap_or(i64::MAX);
        let query = sqlx::query(PAGE)
            .bind(bound(after))
            .bind(bound(upto))
            .bind(&filter.tenant)
            .bind(&filter.aggregate_type)
            .bind(&filter.event_type)
            .bind(i64::from(limit))
            .bind(i64::from(MAX_PAGE_BYTES));
        let rows = answer(query.fetch_all(&self.pool)).await.map_err(&failed)?;
        let mut events = Vec::with_capacity(rows.len());
        let mut matching = 0;
        for row in &rows {
            events.push(sqlx::FromRow::from_row(row).map_err(&failed)?);
            matching = sqlx::Row::try_get::<i64, _>(row, "matching").map_err(&failed)?;
        }
        let complete = matching < i64::from(limit) && usize::try_from(matching) == Ok(rows.len());
        Ok((events, complete))
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
        const STREAM_PAGE: &str =
            "SELECT position, aggregate_type, aggregate_id, sequence, event_id, command_id,
                   event_type, event_version, payload::text AS payload, metadata::text AS metadata,
                   (extract(epoch FROM recorded_at) * 1000)::bigint AS recorded_at_ms, content_hash
              FROM events WHERE aggregate_type = $1 AND aggregate_id = $2 AND sequence > $3
             ORDER BY sequence LIMIT $4";
        let query = sqlx::query_as(STREAM_PAGE)
            .bind(aggregate_type)
            .bind(aggregate_id)
            .bind(i64::try_from(after_sequence).unwrap_or(i64::MAX))
            .bind(i64::from(STREAM_PAGE_EVENTS));
        answer(query.fetch_all(&self.pool)).await.map_err(ReadError::from_sqlx("reading a stream"))
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
        const ENVELOPE: &str = "SELECT position, command_id, subject, envelope::text AS envelope, \
                                payload::text AS payload FROM envelopes WHERE position = $1";
        let query = sqlx::query_as(ENVELOPE).bind(i64::try_from(position).unwrap_or(i64::MAX));
        answer(query.fetch_optional(&self.pool)).await.map_err(ReadError::from_sqlx("reading an envelope"))
    }

    /// The commands whose first events are at the positions, in no order; a position without one is left out.
    pub async fn envelopes(&self, positions: &[u64]) -> Result<Vec<Envelope>, ReadError> {
        const ENVELOPES: &str = "SELECT position, command_id, subject, envelope::text AS envelope, \
                                 payload::text AS payload FROM envelopes WHERE position = ANY ($1)";
        check_count("envelopes", positions.len(), MAX_POSITIONS)?;
        let query = sqlx::query_as(ENVELOPES).bind(columns(positions));
        answer(query.fetch_all(&self.pool)).await.map_err(ReadError::from_sqlx("reading envelopes"))
    }

    /// The events at the positions, in no order; a position beyond the head is left out.
    pub async fn events_at(&self, positions: &[u64]) -> Result<Vec<RecordedEvent>, ReadError> {
        const EVENTS_AT: &str =
            "SELECT position, aggregate_type, aggregate_id, sequence, event_id, command_id,
                   event_type, event_version, payload::text AS payload, metadata::text AS metadata,
                   (extract(epoch FROM recorded_at) * 1000)::bigint AS recorded_at_ms, content_hash
              FROM events WHERE position = ANY ($1)";
        check_count("events", positions.len(), MAX_POSITIONS)?;
        let query = sqlx::query_as(EVENTS_AT).bind(columns(positions));
        answer(query.fetch_all(&self.pool)).await.map_err(ReadError::from_sqlx("reading events"))
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

fn columns(positions: &[u64]) -> Vec<i64> {
    positions.iter().map(|position| i64::try_from(*position).unwrap_or(i64::MAX)).collect()
}

fn check_count(what: &'static str, asked: usize, allowed: usize) -> Result<(), ReadError> {
    if (1..=allowed).contains(&asked) { Ok(()) } else { Err(ReadError::Limit { what, asked, allowed }) }
}
