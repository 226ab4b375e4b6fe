//! `nsl-event-log archive`: each sealed partition becomes a file under a temporary name, is made durable, read back whole,
//! and only then remembered. Stopped anywhere, it begins again with the partition that was not remembered.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use nsl_event_store::{EventReader, ReplayOptions};
use serde::Serialize;
use tempfile::NamedTempFile;

use super::{Database, Error, progress, report, threads};
use crate::archive::{Archive, ArchiveWriter, Summary};
use crate::partitions::{Partition, State};
use crate::source::{self, EXTENSION};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    database: Database,
    /// The folder that the archives are written to
    #[arg(long)]
    to: PathBuf,
    /// One JSON object a line
    #[arg(long)]
    pub(super) json: bool,
}

/// A partition that was archived.
#[derive(Serialize)]
struct Archived {
    outcome: &'static str,
    #[serde(flatten)]
    summary: Summary,
    file: String,
    sha256: String,
    bytes: u64,
}

pub(super) async fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    let mut partitions = arguments.database.partitions().await?;
    let reader = arguments.database.reader().await?;
    partitions.seal().await?;
    let sealed = partitions.list().await?.into_iter().filter(|partition| partition.state == State::Sealed);
    for partition in sealed.collect::<Vec<_>>() {
        let name = format!("events-{:019}.{EXTENSION}", partition.first_position);
        let (summary, sha256) = write(&reader, &partition, &arguments.to, &name).await?;
        partitions.archived(partition.first_position, &name, sha256, summary.events).await?;
        let path = arguments.to.join(&name);
        let bytes = path.metadata().map_err(file(&path, "read"))?.len();
        let archived = Archived { outcome: "archived", summary, file: name, sha256: hex(&sha256), bytes };
        report(arguments.json, &archived, || {
            let Archived { summary, file, sha256, .. } = &archived;
            format!(
                "{file}: positions {} to {}, sha256 {sha256}",
                summary.first_position, summary.last_position
            )
        })?;
    }
    partitions.close().await;
    Ok(ExitCode::SUCCESS)
}

/// Writes one partition's archive and reads it back.
async fn write(
    reader: &EventReader,
    partition: &Partition,
    folder: &Path,
    name: &str,
) -> Result<(Summary, [u8; 32]), Error> {
    let Partition { first_position, end_position, .. } = *partition;
    let bar = progress("archive", end_position - first_position);
    let path = folder.join(name);
    let failed = |source| source::Error::Archive { path: path.clone(), source };
    let temporary = NamedTempFile::new_in(folder).map_err(file(folder, "written"))?;
    let mut writer = ArchiveWriter::new(BufWriter::new(temporary), first_position).map_err(failed)?;
    let stretch =
        ReplayOptions { after: first_position - 1, upto: Some(end_position - 1), ..ReplayOptions::default() };
    let mut replay = reader.replay(stretch).await?;
    while let Some(page) = replay.next_page().await? {
        writer.append(&page).map_err(failed)?;
        bar.inc(page.len() as u64);
    }
    let (out, summary, sha256) = writer.finish().map_err(failed)?;
    let temporary = out.into_inner().map_err(|error| file(&path, "written")(error.into_error()))?;
    temporary.as_file().sync_all().map_err(file(&path, "written"))?;
    read_back(temporary.path(), summary, sha256)?;
    temporary.persist(&path).map_err(|error| file(&path, "written")(error.error))?;
    write_checksum(&path, name, &sha256)?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(file(folder, "written"))?;
    bar.finish_and_clear();
    Ok((summary, sha256))
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

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // a String takes whatever is written
        text
    })
}

fn file(path: &Path, operation: &'static str) -> impl Fn(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File { path: path.clone(), operation, source }
}
