//! Reads the log ahead of whoever applies it, in chunks: one page where the log is quiet, thousands of events where there
//! is much to catch up. Memory is bounded by the pages that may wait, however slow the reader is.

use nsl_event_store::{
    EventReader, EventView, Filter, MAX_PAGE_EVENTS, Page, ReadError, ReplayOptions, Subscription,
};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Events applied and committed at once: a commit and its statements cost little beside them, and while one chunk is
/// written the next is read.
const CHUNK_EVENTS: usize = 8_192;
/// Payload bytes of a chunk; only its last page may reach beyond it.
const CHUNK_BYTES: usize = 8 * 1024 * 1024;
/// Pages read ahead: a chunk.
const PAGES_AHEAD: usize = 8;
/// Positions behind the head from which on the log is copied out on a session of its own, which takes a moment to open.
const FAR_POSITIONS: u64 = 20_000;
/// Sessions that copy. Followers catch up beside each other, so one each is enough.
const REPLAY_SESSIONS: usize = 1;

/// The log from a position on. Dropping it ends the reading.
#[derive(Debug)]
pub(crate) struct Feed {
    pages: mpsc::Receiver<Result<Page, ReadError>>,
    /// Found while a chunk was filled; the next answer.
    failed: Option<ReadError>,
    reading: JoinHandle<()>,
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

impl Feed {
    /// Reads from behind a position on; whoever sends on `wake` is heard at once.
    pub(crate) fn start(
        log: EventReader,
        after: u64,
        filter: Filter,
        mut wake: watch::Receiver<u64>,
    ) -> Self {
        let (ready, pages) = mpsc::channel(PAGES_AHEAD);
        let reading = tokio::spawn(async move {
            if let Err(error) = read(log, after, filter, &mut wake, &ready).await {
                // A reader that is gone needs no error.
                let _ = ready.send(Err(error)).await;
            }
        });
        Self { pages, failed: None, reading }
    }

    /// Waits for the log to go on, and answers what is there, as one page. After an error the feed is at its end.
    /// Dropping the future loses nothing.
    pub(crate) async fn chunk(&mut self) -> Result<Page, ReadError> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        // The reading ends only after an error that was sent, or with a panic, which the reader then shares.
        let mut chunk = self.pages.recv().await.expect("whoever saw the error does not ask again")?;
        let mut bytes = size(&chunk);
        while chunk.events.len() < CHUNK_EVENTS && bytes < CHUNK_BYTES {
            match self.pages.try_recv() {
                Ok(Ok(page)) => {
                    bytes += size(&page);
                    chunk.events.extend(page.events);
                    (chunk.position, chunk.head) = (page.position, page.head);
                }
                Ok(Err(error)) => {
                    self.failed = Some(error);
                    break;
                }
                Err(_) => break,
            }
        }
        Ok(chunk)
    }
}

/// Reads until nobody listens.
async fn read(
    log: EventReader,
    after: u64,
    filter: Filter,
    wake: &mut watch::Receiver<u64>,
    ready: &mpsc::Sender<Result<Page, ReadError>>,
) -> Result<(), ReadError> {
    let mut after = after;
    let head = log.head().await?;
    if head.saturating_sub(after) >= FAR_POSITIONS {
        let (filter, sessions) = (filter.clone(), REPLAY_SESSIONS);
        // Checked like every read: an event that somebody changed becomes nobody's row.
        let options = ReplayOptions { after, upto: Some(head), filter, verify: true, sessions };
        let mut replay = log.replay(options).await?;
        while let Some(page) = replay.next_page().await? {
            after = page.position();
            let events = page.iter().map(|event: EventView<'_>| event.to_recorded()).collect();
            if ready.send(Ok(Page { events, position: after, head })).await.is_err() {
                return Ok(());
            }
        }
    }
    let mut subscription = Subscription::new(log, after, filter, MAX_PAGE_EVENTS);
    loop {
        let page = subscription.next_page(wake).await?;
        if ready.send(Ok(page)).await.is_err() {
            return Ok(());
        }
    }
}

fn size(page: &Page) -> usize {
    page.events.iter().map(|event| event.payload.len() + event.metadata.len()).sum()
}
