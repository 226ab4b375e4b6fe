//! Pages of the archives in order, each checked before it is handed over. A thread of its own reads and hashes while the
//! database writes.

use std::path::{Path, PathBuf};

use nsl_event_store::EventPage;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::Error;
use crate::archive::{Archive, Error as ArchiveError};
use crate::source;

/// Pages that are ready while one is written: 10 MB of events.
const PAGES_READY: usize = 4;

/// The pages to come.
pub(super) struct Pages {
    ready: mpsc::Receiver<EventPage>,
    reading: JoinHandle<Result<(), Error>>,
}

/// Begins to read.
pub(super) fn read(archives: Vec<(PathBuf, Archive)>) -> Pages {
    let (pages, ready) = mpsc::channel(PAGES_READY);
    let reading = tokio::task::spawn_blocking(move || {
        archives.iter().try_for_each(|(path, archive)| read_one(path, archive, &pages))
    });
    Pages { ready, reading }
}

impl Pages {
    /// The next page; `None` at the end, and where the reading failed, which [`Pages::finish`] tells.
    pub(super) async fn next(&mut self) -> Option<EventPage> {
        self.ready.recv().await
    }

    /// That everything was read.
    pub(super) async fn finish(self) -> Result<(), Error> {
        self.reading.await.map_err(|_| Error::Reader)?
    }
}

fn read_one(path: &Path, archive: &Archive, pages: &mpsc::Sender<EventPage>) -> Result<(), Error> {
    let failed = |source| Error::from(source::Error::Archive { path: path.to_owned(), source });
    let mut commands = 0;
    for block in 0..archive.blocks() {
        let page = archive.block(block).map_err(failed)?;
        if let Some(altered) = page.iter().find(|event| !event.is_intact()) {
            return Err(failed(ArchiveError::Altered { position: altered.position }));
        }
        commands += page.iter().filter(|event| event.command.is_some()).count() as u64;
        if pages.blocking_send(page).is_err() {
            // Whoever restored gave up, and says why.
            return Err(Error::Reader);
        }
    }
    if commands == archive.summary().commands {
        Ok(())
    } else {
        Err(failed(ArchiveError::NotAnArchive { what: "it has not the commands that it says" }))
    }
}
