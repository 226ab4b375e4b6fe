//! The log in order, from archives as far as there are any, then from the database; either alone will do.

use std::path::{Path, PathBuf};

use nsl_event_store::{EventPage, EventReader, ReadError, Replay, ReplayOptions};

use crate::archive::{self, Archive, LogId, Summary};

/// The file name's end of archives.
pub const EXTENSION: &str = "nsla";
/// The file name's beginning of the archive of a partition that is still open. Once the partition has an archive of its own,
/// this one's events are all in there.
pub const TAIL: &str = "tail-";

/// Why the log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder of archives cannot be listed.
    #[error("folder {} cannot be listed", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: std::io::Error,
    },
    /// An archive cannot be read.
    #[error("{}", path.display())]
    Archive {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: archive::Error,
    },
    /// Between two archives positions are missing, or both have them.
    #[error("{} begins at position {found} where {expected} belongs", path.display())]
    Gap {
        /// The archive after the gap.
        path: PathBuf,
        /// Where it should begin.
        expected: u64,
        /// Where it begins.
        found: u64,
    },
    /// Two archives of a folder are of different logs.
    #[error("{} is of another log than {}", path.display(), first.display())]
    Foreign {
        /// The archive of another log.
        path: PathBuf,
        /// The one with the lowest position.
        first: PathBuf,
    },
    /// The log has no event.
    #[error("the log is empty")]
    Empty,
    /// The database cannot be read.
    #[error(transparent)]
    Database(#[from] ReadError),
}

impl Error {
    /// The position of an event that was changed or is missing, where that is what is wrong.
    pub fn altered_position(&self) -> Option<u64> {
        match self {
            Self::Archive { source: archive::Error::Altered { position }, .. }
            | Self::Database(ReadError::Altered { position } | ReadError::Missing { position }) => {
                Some(*position)
            }
            Self::Gap { expected, .. } => Some(*expected),
            _ => None,
        }
    }

    /// Whether the log was changed, in contrast to it being unreachable.
    pub fn is_alteration(&self) -> bool {
        match self {
            Self::Archive { source, .. } => !matches!(source, archive::Error::File { .. }),
            Self::Gap { .. } | Self::Foreign { .. } => true,
            Self::Database(error) => {
                matches!(
                    error,
                    ReadError::Altered { .. } | ReadError::Missing { .. } | ReadError::Corrupt { .. }
                )
            }
            Self::Folder { .. } | Self::Empty => false,
        }
    }
}

/// Names the log of a database.
pub async fn log_id(reader: &EventReader) -> Result<LogId, Error> {
    let first = reader.events_at(&[1]).await?;
    first.first().map(|event| LogId(event.content_hash)).ok_or(Error::Empty)
}

/// The archives of a folder in the order of their positions: they must be of one log and continue each other.
pub fn archives(folder: &Path) -> Result<Vec<(PathBuf, Archive)>, Error> {
    let failed = |source| Error::Folder { path: folder.to_owned(), source };
    let mut archives = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == EXTENSION) {
            let archive = open(&path)?;
            archives.push((path, archive));
        }
    }
    // The longer one first, so that an archive that took a tail's place stands before it.
    archives.sort_by_key(|(path, archive): &(PathBuf, Archive)| {
        let Summary { first_position, events, .. } = archive.summary();
        (first_position, std::cmp::Reverse(events), is_tail(path))
    });
    archives.dedup_by(|(path, after), (_, before)| {
        is_tail(path) && after.summary().first_position == before.summary().first_position
    });
    if let Some((first, archive)) = archives.first() {
        let foreign = |(_, other): &&(PathBuf, Archive)| other.log() != archive.log();
        if let Some((path, _)) = archives.iter().find(foreign) {
            return Err(Error::Foreign { path: path.clone(), first: first.clone() });
        }
    }
    for pair in archives.windows(2) {
        let [(_, before), (path, after)] = pair else { continue };
        let (expected, found) = (before.summary().last_position + 1, after.summary().first_position);
        if found != expected {
            return Err(Error::Gap { path: path.clone(), expected, found });
        }
    }
    Ok(archives)
}

fn is_tail(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(TAIL))
}

/// Opens an archive; an error names the file.
pub fn open(path: &Path) -> Result<Archive, Error> {
    Archive::open(path).map_err(|source| Error::Archive { path: path.to_owned(), source })
}

/// The log's events with their commands, from position 1 or where the archives begin.
pub struct Source {
    archives: std::vec::IntoIter<(PathBuf, Archive)>,
    current: Option<(PathBuf, Archive, usize)>,
    position: u64,
    database: Option<EventReader>,
    replay: Option<Replay>,
}

impl Source {
    /// From the archives in a folder, then from a database.
    pub fn new(folder: Option<&Path>, database: Option<EventReader>) -> Result<Self, Error> {
        let archives = folder.map_or(Ok(Vec::new()), archives)?;
        let first =
            archives.first().map_or(1, |(_, archive): &(_, Archive)| archive.summary().first_position);
        Ok(Self {
            archives: archives.into_iter(),
            current: None,
            position: first - 1,
            database,
            replay: None,
        })
    }

    /// The position before the first, and later the last one that was read.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next events, each of them what was appended; `None` at the end.
    pub async fn next_page(&mut self) -> Result<Option<EventPage>, Error> {
        let page = match self.archived_page()? {
            Some(page) => Some(page),
            None => self.database_page().await?,
        };
        if let Some(page) = &page {
            self.position = page.position();
        }
        Ok(page)
    }

    fn archived_page(&mut self) -> Result<Option<EventPage>, Error> {
        loop {
            let Some((path, archive, block)) = &mut self.current else {
                let Some((path, archive)) = self.archives.next() else { return Ok(None) };
                self.current = Some((path, archive, 0));
                continue;
            };
            if *block == archive.blocks() {
                self.current = None;
                continue;
            }
            let failed = |source| Error::Archive { path: path.clone(), source };
            let page = archive.block(*block).map_err(failed)?;
            if let Some(altered) = page.iter().find(|event| !event.is_intact()) {
                return Err(failed(archive::Error::Altered { position: altered.position }));
            }
            *block += 1;
            return Ok(Some(page));
        }
    }

    async fn database_page(&mut self) -> Result<Option<EventPage>, Error> {
        if self.replay.is_none() {
            let Some(reader) = self.database.take() else { return Ok(None) };
            let options = ReplayOptions { after: self.position, ..ReplayOptions::default() };
            self.replay = Some(reader.replay(options).await?);
        }
        match &mut self.replay {
            Some(replay) => Ok(replay.next_page().await?),
            None => Ok(None),
        }
    }
}

/// What archives hold together.
pub fn total(archives: &[(PathBuf, Archive)]) -> Option<Summary> {
    let (first, last) = (archives.first()?.1.summary(), archives.last()?.1.summary());
    let commands = archives.iter().map(|(_, archive)| archive.summary().commands).sum();
    Some(Summary {
        first_position: first.first_position,
        last_position: last.last_position,
        events: last.last_position + 1 - first.first_position,
        commands,
    })
}
