//! `nsl-event-log archive`: each sealed partition becomes a file under a temporary name, is made durable, read back whole,
//! and only then remembered. Stopped anywhere, it begins again with the partition that was not remembered. What is in the
//! open partition so far becomes a file when that is asked for; it is not remembered, as the partition goes on.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use nsl_event_store::{EventReader, ReplayOptions};
use serde::Serialize;
use tempfile::NamedTempFile;

use super::{Database, Error, progress, report, threads};
use crate::archive::{Archive, ArchiveWriter, LogId, Summary};
use crate::hex;
use crate::partitions::State;
use crate::source::{self, EXTENSION, TAIL};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    database: Database,
    /// The folder that the archives are written to
    #[arg(long)]
    to: PathBuf,
    /// Also write what is in the open partition up to the head: for a move, or to lose less with the database
    #[arg(long)]
    up_to_head: bool,
    /// One JSON object a line
    #[arg(long)]
    pub(super) json: bool,
}

/// A stretch of the log that was archived.
#[derive(Serialize)]
struct Told<'a> {
    /// `archived`, or `tail` for what is in the open partition so far.
    outcome: &'static str,
    #[serde(flatten)]
    summary: Summary,
    file: &'a str,
    sha256: &'a str,
    bytes: u64,
}

pub(super) async fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    let mut partitions = arguments.database.partitions().await?;
    let reader = arguments.database.reader().await?;
    partitions.seal().await?;
    let head = reader.head().await?;
    if head == 0 {
        partitions.close().await;
        return Ok(ExitCode::SUCCESS);
    }
    let log = source::log_id(&reader).await?;
    for partition in partitions.list().await? {
        let (first_position, end_position) = (partition.first_position, partition.end_position);
        let name = format!("events-{first_position:019}.{EXTENSION}");
        let tail = format!("{TAIL}{first_position:019}.{EXTENSION}");
        let stretch = |upto| Stretch { log, first_position, upto };
        match partition.state {
            State::Sealed => {
                let archived = write(&reader, &stretch(end_position - 1), &arguments.to, name).await?;
                let Archived { summary, file, sha256, .. } = &archived;
                partitions.archived(first_position, file, *sha256, summary.events).await?;
                remove_tail(&arguments.to, &tail)?;
                archived.report("archived", arguments.json)?;
            }
            State::Open if arguments.up_to_head && first_position <= head => {
                write(&reader, &stretch(head), &arguments.to, tail).await?.report("tail", arguments.json)?;
            }
            _ => {}
        }
    }
    partitions.close().await;
    Ok(ExitCode::SUCCESS)
}

/// What one file is to hold.
struct Stretch {
    log: LogId,
    first_position: u64,
    upto: u64,
}

/// A file that was written and read back.
struct Archived {
    summary: Summary,
    file: String,
    sha256: [u8; 32],
    bytes: u64,
}

impl Archived {
    fn report(&self, outcome: &'static str, json: bool) -> Result<(), Error> {
        let Self { summary, file, sha256, bytes } = self;
        let sha256 = hex(sha256);
        let told = Told { outcome, summary: *summary, file, sha256: &sha256, bytes: *bytes };
        report(json, &told, || {
            let Summary { first_position, last_position, .. } = summary;
            format!("{file}: positions {first_position} to {last_position}, sha256 {sha256}")
        })
    }
}

/// Writes a stretch as an archive and reads it back.
async fn write(
    reader: &EventReader,
    stretch: &Stretch,
    folder: &Path,
    name: String,
) -> Result<Archived, Error> {
    let Stretch { log, first_position, upto } = *stretch;
    let bar = progress("archive", upto + 1 - first_position);
    let path = folder.join(&name);
    let failed = |source| source::Error::Archive { path: path.clone(), source };
    let temporary = NamedTempFile::new_in(folder).map_err(file(folder, "written"))?;
    let mut writer = ArchiveWriter::new(BufWriter::new(temporary), log, first_position).map_err(failed)?;
    let options = ReplayOptions { after: first_position - 1, upto: Some(upto), ..ReplayOptions::default() };
    let mut replay = reader.replay(options).await?;
    while let Some(page) = replay.next_page().await? {
        writer.append(&page).map_err(failed)?;
        bar.inc(page.len() as u64);
    }
    let (out, summary, sha256) = writer.finish().map_err(failed)?;
    let temporary = out.into_inner().map_err(|error| file(&path, "written")(error.into_error()))?;
    temporary.as_file().sync_all().map_err(file(&path, "written"))?;
    read_back(temporary.path(), summary, sha256)?;
    temporary.persist(&path).map_err(|error| file(&path, "written")(error.error))?;
    write_checksum(&path, &name, &sha256)?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(file(folder, "written"))?;
    bar.finish_and_clear();
    let bytes = path.metadata().map_err(file(&path, "read"))?.len();
    Ok(Archived { summary, file: name, sha256, bytes })
}

/// Removes the file of a partition that was open, once all of the partition has its own.
fn remove_tail(folder: &Path, name: &str) -> Result<(), Error> {
    for path in [folder.join(name), folder.join(format!("{name}.sha256"))] {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(file(&path, "removed")(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The whole file once more, as an auditor will read it.
fn read_back(path: &Path, summary: Summary, sha256: [u8; 32]) -> Result<(), Error> {
    let failed = |source| source::Error::Archive { path: path.to_owned(), source };
    let archive = source::open(path)?;
    archive.verify(threads(), |_| {}).map_err(failed)?;
    if archive.summary() == summary && Archive::file_sha256(path).map_err(failed)? == sha256 {
        Ok(())
    } else {
        Err(Error::OtherFile { path: path.to_owned() })
    }
}

/// What `sha256sum --check` reads.
fn write_checksum(path: &Path, name: &str, sha256: &[u8; 32]) -> Result<(), Error> {
    let path = path.with_extension(format!("{EXTENSION}.sha256"));
    let written = |source| file(&path, "written")(source);
    let mut checksum = File::create(&path).map_err(written)?;
    writeln!(checksum, "{}  {name}", hex(sha256)).map_err(written)?;
    checksum.sync_all().map_err(written)
}

fn file(path: &Path, operation: &'static str) -> impl Fn(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File { path: path.clone(), operation, source }
}
