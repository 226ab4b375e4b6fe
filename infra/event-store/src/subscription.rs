//! Follows the log: pages in position order, without a gap, none beyond the head.

use std::time::Duration;

use tokio::sync::watch;

use crate::reader::{EventReader, Filter, Page, ReadError};

/// How long a reader sleeps when nobody wakes it: wake-ups are a courtesy, this is what guarantees progress.
pub const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// A place in the log and what is wanted from there on. The position is the reader's to keep: store
/// [`Page::position`] with what was made of the page, and start again from there.
#[derive(Debug)]
pub struct Subscription {
    reader: EventReader,
    position: u64,
    filter: Filter,
    page_size: u32,
}

impl Subscription {
    /// Follows the log after a position, with pages of at most `page_size` events.
    pub fn new(reader: EventReader, after_position: u64, filter: Filter, page_size: u32) -> Self {
        Self { reader, position: after_position, filter, page_size }
    }

    /// The position that the pages so far have reached.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Waits until the log goes on, and answers the next page. It may have no events: then only others' events were
    /// passed over, and its position is worth keeping. Dropping the future loses nothing; after an error ask again.
    pub async fn next_page(&mut self, wake: &mut watch::Receiver<u64>) -> Result<Page, ReadError> {
        loop {
            // Marked as seen before reading: a head that moves while we read wakes us at once.
            wake.borrow_and_update();
            let page = self.reader.read(self.position, self.page_size, &self.filter).await?;
            if page.position > self.position {
                self.position = page.position;
                return Ok(page);
            }
            self.wait(wake).await;
        }
    }

    async fn wait(&self, wake: &mut watch::Receiver<u64>) {
        let woken = tokio::time::timeout(POLL_INTERVAL, wake.changed()).await;
        if matches!(woken, Ok(Err(_))) {
            // Nobody can wake us any more, so the wait above ended at once.
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}
