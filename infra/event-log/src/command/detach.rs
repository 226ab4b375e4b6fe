//! `nsl-event-log detach` and `attach`. Nothing is detached but what is archived, from the beginning of the log on; tables
//! are dropped only when asked for, and after the archive was read once more.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;

use super::{Database, Error, report, threads};
use crate::archive::Archive;
use crate::hex;
use crate::partitions::{Partition, Partitions, State};
use crate::source;

#[derive(Debug, clap::Args)]
pub(super) struct Detach {
    #[command(flatten)]
    database: Database,
    /// Detach the partitions that end before this position
    #[arg(long)]
    before: u64,
    /// Also remove the detached tables for good, once their archives in --from are read back
    #[arg(long, requires = "from")]
    drop: bool,
    /// The folder of archives
    #[arg(long)]
    from: Option<PathBuf>,
    /// One JSON object a line
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Attach {
    #[command(flatten)]
    database: Database,
    /// Attach the partitions from this position on
    #[arg(long)]
    from: u64,
    /// One JSON object a line
    #[arg(long)]
    pub(super) json: bool,
}

/// What became of a partition.
#[derive(Serialize)]
struct Moved {
    outcome: &'static str,
    first_position: u64,
    end_position: u64,
}

pub(super) async fn detach(arguments: &Detach) -> Result<ExitCode, Error> {
    let mut partitions = arguments.database.partitions().await?;
    for partition in partitions.list().await? {
        if partition.end_position > arguments.before {
            break;
        }
        let first_position = partition.first_position;
        match partition.state {
            State::Open | State::Sealed => return Err(Error::NotArchived { first_position }),
            State::Archived => {
                refuse_if_needed(&mut partitions, first_position).await?;
                partitions.detach(first_position).await?;
                tell(arguments.json, "detached", &partition)?;
            }
            State::Detached | State::Dropped => {}
        }
        if let (true, Some(folder)) = (arguments.drop && partition.state != State::Dropped, &arguments.from) {
            check_archive(&partition, folder)?;
            partitions.drop(first_position).await?;
            tell(arguments.json, "dropped", &partition)?;
        }
    }
    partitions.close().await;
    Ok(ExitCode::SUCCESS)
}

async fn refuse_if_needed(partitions: &mut Partitions, first_position: u64) -> Result<(), Error> {
    match partitions.needing(first_position).await? {
        (0, _) => Ok(()),
        (streams, examples) => Err(Error::StillNeeded { first_position, streams, examples }),
    }
}

/// That the file is the one that was remembered, and reads as a whole.
fn check_archive(partition: &Partition, folder: &Path) -> Result<(), Error> {
    let Partition { first_position, end_position, archive_file, archive_sha256, .. } = partition;
    let (Some(name), Some(sha256)) = (archive_file, archive_sha256) else {
        return Err(Error::NotArchived { first_position: *first_position });
    };
    let path = folder.join(name);
    let failed = |source| source::Error::Archive { path: path.clone(), source };
    let archive = source::open(&path)?;
    archive.verify(threads(), |_| {}).map_err(failed)?;
    let summary = archive.summary();
    let is_the_one = summary.first_position == *first_position
        && summary.last_position + 1 == *end_position
        && hex(&Archive::file_sha256(&path).map_err(failed)?) == *sha256;
    if is_the_one { Ok(()) } else { Err(Error::OtherFile { path }) }
}

pub(super) async fn attach(arguments: &Attach) -> Result<ExitCode, Error> {
    let mut partitions = arguments.database.partitions().await?;
    let listed = partitions.list().await?;
    if !listed.iter().any(|partition| partition.first_position == arguments.from) {
        return Err(Error::NoPartition(arguments.from));
    }
    let wanted = listed.iter().rev().filter(|partition| {
        partition.first_position >= arguments.from
            && matches!(partition.state, State::Detached | State::Dropped)
    });
    for partition in wanted {
        partitions.attach(partition.first_position).await?;
        tell(arguments.json, "attached", partition)?;
    }
    partitions.close().await;
    Ok(ExitCode::SUCCESS)
}

fn tell(json: bool, outcome: &'static str, partition: &Partition) -> Result<(), Error> {
    let Partition { first_position, end_position, .. } = *partition;
    report(json, &Moved { outcome, first_position, end_position }, || {
        format!("positions {first_position} to {}: {outcome}", end_position - 1)
    })
}
