//! Reads long stretches of the log fast: several sessions copy ranges of it out ahead of the reader, who gets their
//! pages in order. Memory is bounded by pages and bytes, however far ahead the database could run.

use std::time::Duration;

use futures::stream::{BoxStream, StreamExt as _};
use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnection;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::copy_rows::{COMMAND_COLUMNS, EVENT_COLUMNS, Rows};
use crate::event_page::EventPage;
use crate::reader::{EventReader, Filter, ReadError, altered, check_count};
use crate::session::answer;

/// Positions that one session copies out at once: long enough that its round trip does not count, short enough that
/// the next session's range is ready when this one's ends.
const RANGE_POSITIONS: u64 = 4_096;
/// Events of one page.
pub const REPLAY_PAGE_EVENTS: usize = 2_048;
/// Text bytes after which a page ends; only its last event may reach beyond it.
pub const REPLAY_PAGE_BYTES: usize = 2 * 1024 * 1024;
/// Pages that a session may have ready: a range of ordinary events.
const PAGES_READY: usize = 2;
/// Sessions that help; more only wait for each other.
pub const MAX_REPLAY_SESSIONS: usize = 8;
/// How long the server works on one range. It waits for the reader too when that is slower, so this is no measure of a
/// broken server; that one is noticed by its silence.
const RANGE_TIMEOUT: Duration = Duration::from_mins(10);

/// Which stretch of the log, and how it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayOptions {
    /// The position before the first.
    pub after: u64,
    /// The last position; the head at the start when there is none, and never beyond it.
    pub upto: Option<u64>,
    /// Which events.
    pub filter: Filter,
    /// Whether commands are read beside their first events and every event is checked against its hash. Without it the
    /// pages have no commands.
    pub verify: bool,
    /// Sessions that copy ahead, each its own connection.
    pub sessions: usize,
}

impl Default for ReplayOptions {
    /// The whole log, checked, on two sessions.
    fn default() -> Self {
        Self { after: 0, upto: None, filter: Filter::default(), verify: true, sessions: 2 }
    }
}

/// Pages of the log in order. Dropping it ends its sessions.
#[derive(Debug)]
pub struct Replay {
    /// The ranges take turns over them.
    lanes: Vec<mpsc::Receiver<Result<Copied, ReadError>>>,
    current: usize,
    position: u64,
    upto: u64,
    _sessions: JoinSet<()>,
}

/// What a session hands over.
#[derive(Debug)]
struct Copied {
    page: EventPage,
    /// Its range ends here; the next page is the next session's.
    ends_range: bool,
}

impl EventReader {
    /// Begins a replay. It opens its own sessions and takes none of this reader's.
    pub async fn replay(&self, options: ReplayOptions) -> Result<Replay, ReadError> {
        check_count("sessions", options.sessions, MAX_REPLAY_SESSIONS)?;
        let head = self.head().await?;
        let upto = options.upto.map_or(head, |upto| upto.min(head));
        let mut sessions = JoinSet::new();
        let mut lanes = Vec::new();
        for lane in 0..options.sessions as u64 {
            let (pages, lane_pages) = mpsc::channel(PAGES_READY);
            let session = Session {
                reader: self.clone(),
                filter: options.filter.clone(),
                verify: options.verify,
                next: options.after.saturating_add(lane * RANGE_POSITIONS),
                stride: options.sessions as u64 * RANGE_POSITIONS,
                upto,
                pages,
            };
            if session.next < upto {
                sessions.spawn(session.run());
            }
            lanes.push(lane_pages);
        }
        Ok(Replay { lanes, current: 0, position: options.after, upto, _sessions: sessions })
    }
}

impl Replay {
    /// The last position that it reads.
    pub fn upto(&self) -> u64 {
        self.upto
    }

    /// The next page, `None` after the last position and never before. With a filter a page may have no events. After
    /// an error there is no more: begin another replay at the last page's position.
    pub async fn next_page(&mut self) -> Result<Option<EventPage>, ReadError> {
        if self.position >= self.upto {
            return Ok(None);
        }
        let copied = self.lanes[self.current].recv().await;
        // A session ends before its last range by an error that it sent, or by a panic.
        let Copied { page, ends_range } =
            copied.unwrap_or_else(|| Err(unavailable(sqlx::Error::WorkerCrashed)))?;
        self.position = page.position();
        if ends_range {
            self.current = (self.current + 1) % self.lanes.len();
        }
        Ok(Some(page))
    }
}

/// Copies every so manieth range, on a connection of its own.
struct Session {
    reader: EventReader,
    filter: Filter,
    verify: bool,
    next: u64,
    stride: u64,
    upto: u64,
    pages: mpsc::Sender<Result<Copied, ReadError>>,
}

/// Where a range is copied from and how far it has come.
struct Range {
    after: u64,
    end: u64,
}

impl Session {
    async fn run(self) {
        if let Err(error) = self.copy_all().await {
            // A reader that is gone needs no error.
            let _ = self.pages.send(Err(error)).await;
        }
    }

    async fn copy_all(&self) -> Result<(), ReadError> {
        let settings = [
            ("statement_timeout", RANGE_TIMEOUT.as_millis().to_string()),
            // Quoted literals rest on it.
            ("standard_conforming_strings", "on".to_owned()),
        ];
        let options = self.reader.pool.connect_options().as_ref().clone().options(settings);
        let mut connection = answer(options.connect()).await.map_err(unavailable)?;
        let mut next = self.next;
        while next < self.upto && !self.pages.is_closed() {
            let range = Range { after: next, end: self.upto.min(next.saturating_add(RANGE_POSITIONS)) };
            self.copy_range(&mut connection, &range).await?;
            next = next.saturating_add(self.stride);
        }
        Ok(())
    }

    async fn copy_range(&self, connection: &mut PgConnection, range: &Range) -> Result<(), ReadError> {
        let statement = self.statement(range);
        let mut copy = answer(connection.copy_out_raw(&statement)).await.map_err(unavailable)?;
        let mut rows = Rows::new(self.verify);
        let mut after = range.after;
        loop {
            let mut page = EventPage::with_capacity(REPLAY_PAGE_EVENTS, PAGE_TEXT_BYTES);
            let ends_range = answer(fill(&mut copy, &mut rows, &mut page)).await.map_err(unavailable)?;
            self.check(&page, after, ends_range.then_some(range.end)).await?;
            if ends_range {
                page.reached(range.end);
            }
            after = page.position();
            // A reader that is gone ends the session: `copy_all` looks.
            if self.pages.send(Ok(Copied { page, ends_range })).await.is_err() || ends_range {
                return Ok(());
            }
        }
    }

    /// That no position is missing and no event was changed. `end` is where the page must reach.
    async fn check(&self, page: &EventPage, after: u64, end: Option<u64>) -> Result<(), ReadError> {
        if self.filter == Filter::default() {
            let positions = page.iter().map(|event| event.position);
            if let Some(missing) = first_missing(positions, after, end) {
                return Err(self.reader.missing(missing).await);
            }
        } else if end.is_some() {
            // What a filter leaves out and what is no longer there look the same, so this is asked after the reading.
            self.reader.check_available(after).await?;
        }
        if self.verify
            && let Some(event) = page.iter().find(|event| !event.is_intact())
        {
            return Err(altered(event.position));
        }
        Ok(())
    }

    /// Literals and not parameters, which a copy does not take; positions are numbers, and a filter's texts are quoted.
    fn statement(&self, Range { after, end }: &Range) -> String {
        let (columns, commands) = if self.verify {
            (
                format!("{EVENT_COLUMNS}, {COMMAND_COLUMNS}"),
                // A command under another id is not the event's: it is left out, and the hash does not hold.
                format!(
                    " LEFT JOIN public.envelopes AS c ON c.position = e.position \
                     AND c.command_id = e.command_id AND c.position > {after} AND c.position <= {end}"
                ),
            )
        } else {
            (EVENT_COLUMNS.to_owned(), String::new())
        };
        let filter = condition(&self.filter);
        format!(
            "COPY (SELECT {columns} FROM public.events AS e{commands} WHERE e.position > {after} \
             AND e.position <= {end}{filter} ORDER BY e.position) TO STDOUT (FORMAT binary)"
        )
    }
}

/// Room that a page begins with: a range's worth of ordinary events, so that it seldom grows.
const PAGE_TEXT_BYTES: usize = REPLAY_PAGE_BYTES / 2;

/// Reads rows until the page is full; true at the end of the copy.
async fn fill<B: AsRef<[u8]>>(
    copy: &mut BoxStream<'_, Result<B, sqlx::Error>>,
    rows: &mut Rows,
    page: &mut EventPage,
) -> Result<bool, sqlx::Error> {
    while page.len() < REPLAY_PAGE_EVENTS && page.text_bytes() < REPLAY_PAGE_BYTES {
        let Some(message) = copy.next().await else { return Ok(true) };
        rows.push(message?.as_ref(), page).map_err(|error| sqlx::Error::Decode(error.into()))?;
    }
    Ok(false)
}

/// The first position after `after` that is not there, up to `end` where the positions must reach it.
pub(crate) fn first_missing(
    positions: impl Iterator<Item = u64>,
    after: u64,
    end: Option<u64>,
) -> Option<u64> {
    let mut last = after;
    for position in positions {
        if position != last + 1 {
            return Some(last + 1);
        }
        last = position;
    }
    end.filter(|end| last < *end).map(|_| last + 1)
}

fn condition(filter: &Filter) -> String {
    let Filter { tenant, aggregate_types, event_type } = filter;
    let columns = [
        ("tenant", tenant.as_slice()),
        ("aggregate_type", aggregate_types.as_slice()),
        ("event_type", event_type.as_slice()),
    ];
    let mut condition = String::new();
    for (column, wanted) in columns.iter().filter(|(_, wanted)| !wanted.is_empty()) {
        let literals: Vec<_> = wanted.iter().map(|wanted| literal(wanted)).collect();
        condition.extend([" AND e.", *column, " IN (", &literals.join(", "), ")"]);
    }
    condition
}

/// Quotes a text for a session whose strings conform to the standard, where nothing but the quote is special. A NUL,
/// which no text of the log has, would end the statement early; what stands in its place is in no log either.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''").replace('\0', "\u{1}"))
}

fn unavailable(error: sqlx::Error) -> ReadError {
    ReadError::from_sqlx("replaying the log")(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_position_is_found_wherever_it_is() {
        let table: [(&[u64], Option<u64>, Option<u64>); 8] = [
            (&[4, 5, 6], Some(6), None),
            (&[4, 5, 6], None, None),
            (&[4, 5], Some(6), Some(6)),
            (&[5, 6], Some(6), Some(4)),
            (&[4, 6], Some(6), Some(5)),
            (&[], Some(6), Some(4)),
            (&[], None, None),
            (&[4, 4], Some(4), Some(5)),
        ];
        for (positions, end, expected) in table {
            assert_eq!(first_missing(positions.iter().copied(), 3, end), expected, "{positions:?} {end:?}");
        }
    }

    #[test]
    fn a_filter_s_text_cannot_leave_its_quotes() {
        let tenant = Some("o'; DROP TABLE events; --\0\\".to_owned());
        let filter = Filter { tenant, event_type: Some("created".into()), ..Filter::default() };
        assert_eq!(
            condition(&filter),
            " AND e.tenant IN ('o''; DROP TABLE events; --\u{1}\\') AND e.event_type IN ('created')"
        );
        let types = Filter { aggregate_types: vec!["one".into(), "other".into()], ..Filter::default() };
        assert_eq!(condition(&types), " AND e.aggregate_type IN ('one', 'other')");
        assert_eq!(condition(&Filter::default()), "");
    }
}
