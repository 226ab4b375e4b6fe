//! What nothing that reads the log can pass: copying its columns out without looking at them, and parsing payloads that
//! are in memory already.

use futures::TryStreamExt as _;
use nsl_event_store::EventPage;
use sqlx::{Connection as _, PgConnection};
use tokio::sync::Mutex;

use super::WORKERS;
use super::log::{self, Log, decode};

/// What the copying is called.
pub(super) const COPY: &str = "COPY binary out of the same columns on one session, not decoded";
/// What the parsing is called.
pub(super) const PARSE: &str = "serde_json alone on two threads, payloads in memory";
/// Events that are held in memory for parsing, and how often each is parsed.
const HELD: (u64, u64) = (100_000, 10);
/// How many the parsing parses.
pub(super) const PARSED: u64 = HELD.0 * HELD.1;

/// A session that copies.
pub(super) struct Copy {
    session: Mutex<PgConnection>,
}

impl Copy {
    pub(super) async fn open(url: &str) -> Result<Self, sqlx::Error> {
        Ok(Self { session: Mutex::new(PgConnection::connect(url).await?) })
    }

    /// Copies all events; answers how many rows it were.
    pub(super) async fn run(&self) -> Result<u64, sqlx::Error> {
        const STATEMENT: &str = "COPY (SELECT position, aggregate_type, aggregate_id, sequence, event_type,
            event_version, payload, metadata, event_id, command_id, recorded_at, content_hash FROM events
            ORDER BY position) TO STDOUT (FORMAT binary)";
        let mut session = self.session.lock().await;
        let mut rows = session.copy_out_raw(STATEMENT).await?;
        let mut count = 0;
        while rows.try_next().await?.is_some() {
            count += 1;
        }
        Ok(count - TRAILER)
    }
}

/// The copy's end is a message of its own.
const TRAILER: u64 = 1;

/// Pages in memory.
pub(super) struct Parse {
    pages: Vec<EventPage>,
}

impl Parse {
    pub(super) async fn new(log: &Log) -> Result<Self, log::Error> {
        let mut pages = Vec::new();
        let mut replay = log.pages(false, Some(HELD.0)).await?;
        while let Some(page) = replay.next_page().await? {
            pages.push(page);
        }
        Ok(Self { pages })
    }

    /// Parses them all; answers how many it were.
    pub(super) fn run(&self) -> Result<u64, log::Error> {
        let share = |worker: usize| {
            let mut events = 0;
            for _ in 0..HELD.1 {
                for page in self.pages.iter().skip(worker).step_by(WORKERS) {
                    events += decode(page)?;
                }
            }
            Ok(events)
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..WORKERS).map(|worker| scope.spawn(move || share(worker))).collect();
            workers.into_iter().map(|worker| worker.join().unwrap_or(Ok(0))).sum()
        })
    }
}
