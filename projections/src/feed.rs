//! Reads the log ahead of whoever applies it, in chunks: one page where the log is quiet, thousands of events where there
//! is much to catch up. Memory is bounded by the pages that may wait, however slow the reader is.

use nsl_event_store::{EventReader, Filter, MAX_PAGE_EVENTS, Page, ReadError, Subscription};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Events applied and committed at once: a commit and its statements cost little beside them, and while one chunk is
/// written the next is read.
const CHUNK_EVENTS: usize = 8_192;
/// Payload bytes of a chunk; only its last page may reach beyond it.
const CHUNK_BYTES: usize = 8 * 1024 * 1024;
/// Pages read ahead: a chunk.
const PAGES_AHEAD: usize = 8;

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
            let mut subscription = Subscription::new(log, after, filter, MAX_PAGE_EVENTS);
            loop {
                let page = subscription.next_page(&mut wake).await;
                let failed = page.is_err();
                if ready.send(page).await.is_err() || failed {
                    return;
                }
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

fn size(page: &Page) -> usize {
    page.events.iter().map(|event| event.payload.len() + event.metadata.len()).sum()
}
