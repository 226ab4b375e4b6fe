//! A log from its archives into an empty database, in one transaction: the head is set last, so all of it counts or nothing.
//!
//! What is checked before: every file against its SHA-256, every block against its hash, every event and command against
//! the hash that it was appended with, that positions go from 1 on without a gap, that the first event is the expected
//! genesis manifest and every file of that log, and that every stream's events are in order. Receipts, streams and the
//! states of partitions follow from the events.

mod checksums;
mod copy;
mod genesis;
mod pages;
mod target;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nsl_event_store::MigrateError;
use nsl_schemas::bytes::Sha256;
use serde::Serialize;

pub use checksums::Checksums;
pub use genesis::expected_genesis;

use crate::archive::{Archive, LogId, Summary};
use crate::{receipts, source};
use target::Target;

/// Why nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An archive cannot be used.
    #[error(transparent)]
    Source(#[from] source::Error),
    /// A file's checksum is in no list.
    #[error("{} has no checksum, neither beside it nor in the given list", path.display())]
    NoChecksum {
        /// The archive.
        path: PathBuf,
    },
    /// The file is another than the one that the checksum was made of.
    #[error("{} is not the file that its checksum was made of", path.display())]
    OtherFile {
        /// The archive.
        path: PathBuf,
    },
    /// A file beside the archives cannot be read.
    #[error("{} cannot be read", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The expected manifest is none.
    #[error("{} is no genesis manifest signed by its own quorum", path.display())]
    NoManifest {
        /// The file.
        path: PathBuf,
    },
    /// There is no archive.
    #[error("there is no archive in the folder")]
    NoArchive,
    /// The first archive does not begin the log.
    #[error("the archives begin at position {found}, a log at position 1")]
    NoBeginning {
        /// Where they begin.
        found: u64,
    },
    /// The archives are of a log with another beginning.
    #[error("the archives are of a log that began with genesis {found}, expected is {expected}")]
    OtherGenesis {
        /// Of the archives.
        found: String,
        /// Of the expected manifest.
        expected: Sha256,
    },
    /// The files say that they are of another log than their first event's.
    #[error("the archives name another log than the one that their first event begins")]
    OtherLog,
    /// The archives end elsewhere than expected.
    #[error("the archives end at position {found}, expected is {expected}")]
    OtherHead {
        /// Where they end.
        found: u64,
        /// Where they should end.
        expected: u64,
    },
    /// Events of one stream are missing, twice or in another order.
    #[error("event at position {position} does not continue its stream")]
    BrokenStream {
        /// The first such event's.
        position: u64,
    },
    /// A command is in the archives twice.
    #[error("a command up to position {position} is in the archives twice")]
    RepeatedCommand {
        /// The end of the page that has it for the second time.
        position: u64,
    },
    /// A receipt cannot be derived.
    #[error("a receipt cannot be derived")]
    Receipt(#[from] receipts::Error),
    /// A number that no log has.
    #[error("event at position {position} has a {what} that no log has")]
    Number {
        /// The event's.
        position: u64,
        /// Which number.
        what: &'static str,
    },
    /// The database has a log, or something of one.
    #[error("the database is not empty: {what}")]
    NotEmpty {
        /// What there is.
        what: String,
    },
    /// The empty log's tables cannot be made.
    #[error("the database cannot be prepared")]
    Migrate(#[from] MigrateError),
    /// The database does not do it.
    #[error("{operation} failed")]
    Database {
        /// What was tried.
        operation: &'static str,
        /// What went wrong.
        #[source]
        source: sqlx::Error,
    },
    /// The thread that reads archives is gone.
    #[error("reading the archives ended early")]
    Reader,
}

impl Error {
    /// Whether the archives are not what was appended, in contrast to something that is missing or cannot be reached.
    pub fn is_alteration(&self) -> bool {
        match self {
            Self::Source(error) => error.is_alteration(),
            Self::OtherFile { .. }
            | Self::OtherLog
            | Self::BrokenStream { .. }
            | Self::RepeatedCommand { .. }
            | Self::Receipt(_)
            | Self::Number { .. } => true,
            _ => false,
        }
    }

    /// The position at which they are not, where there is one.
    pub fn altered_position(&self) -> Option<u64> {
        match self {
            Self::Source(error) => error.altered_position(),
            Self::BrokenStream { position } | Self::Number { position, .. } => Some(*position),
            _ => None,
        }
    }
}

/// What is restored, and what it must be.
#[derive(Debug)]
pub struct Plan<'a> {
    /// The folder of archives.
    pub folder: &'a Path,
    /// The manifest that the log must begin with.
    pub genesis_sha256: Sha256,
    /// The archives' checksums; those beside them without it.
    pub checksums: Option<Checksums>,
    /// Where the log must end; wherever the archives end without it.
    pub head: Option<u64>,
}

/// What was restored.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Restored {
    /// The stretch, from position 1 on.
    #[serde(flatten)]
    pub summary: Summary,
    /// Streams whose versions were derived.
    pub streams: u64,
    /// Above it are the epochs of all leases to come, and below it those of the log's former sites.
    pub lease_epoch: u64,
    /// Milliseconds from the first event to the commit.
    pub elapsed_ms: u64,
    /// Events a second of that time.
    pub events_per_second: u64,
}

/// Restores the log into the database of `url`, whose role is to own it. `copied` is told of every page's events.
pub async fn restore(url: &str, plan: Plan<'_>, copied: impl Fn(u64)) -> Result<Restored, Error> {
    let archives = checked_archives(&plan)?;
    let summary = source::total(&archives).ok_or(Error::NoArchive)?;
    let mut target = Target::open(url).await?;
    let began = Instant::now();
    let whole = archives.iter().map(stretch_of).collect::<Result<Vec<_>, Error>>()?;
    let mut pages = pages::read(archives);
    let mut receipts = receipts::Derivation::default();
    while let Some(page) = pages.next().await {
        let mut derived = receipts.page(&page)?;
        if page.position() == summary.last_position {
            derived.extend(receipts.finish());
        }
        target.copy(&page, &derived).await?;
        copied(page.len() as u64);
    }
    pages.finish().await?;
    let streams = target.derive_streams().await?;
    let lease_epoch = target.fence_off_former_sites().await?;
    target.finish(summary.last_position, &whole).await?;
    let elapsed = began.elapsed().max(Duration::from_millis(1));
    let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    let events_per_second = summary.events.saturating_mul(1_000) / elapsed_ms;
    Ok(Restored { summary, streams, lease_epoch, elapsed_ms, events_per_second })
}

/// The archives that make up the log, all files as they were written.
fn checked_archives(plan: &Plan<'_>) -> Result<Vec<(PathBuf, Archive)>, Error> {
    let archives = source::archives(plan.folder)?;
    for (path, _) in &archives {
        checksums::check(path, plan.checksums.as_ref())?;
    }
    let summary = source::total(&archives).ok_or(Error::NoArchive)?;
    if summary.first_position != 1 {
        return Err(Error::NoBeginning { found: summary.first_position });
    }
    if let Some(expected) = plan.head.filter(|expected| *expected != summary.last_position) {
        return Err(Error::OtherHead { found: summary.last_position, expected });
    }
    if let Some((path, first)) = archives.first() {
        let log: LogId = genesis::check_beginning(path, first, plan.genesis_sha256)?;
        if log != first.log() {
            return Err(Error::OtherLog);
        }
    }
    Ok(archives)
}

/// A file and its stretch, to be remembered where it is a whole partition's.
struct Stretch {
    summary: Summary,
    file: String,
    sha256: [u8; 32],
}

fn stretch_of((path, archive): &(PathBuf, Archive)) -> Result<Stretch, Error> {
    let failed = |source| source::Error::Archive { path: path.clone(), source };
    let file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(Stretch { summary: archive.summary(), file, sha256: Archive::file_sha256(path).map_err(failed)? })
}
