//! `nsl-event-log restore`: archives become the log of an empty database, whole or not at all.

use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;

use super::{Database, Error, progress, report};
use crate::restore::{self, Checksums, Plan, Restored};
use crate::source;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    database: Database,
    /// The folder of archives
    #[arg(long)]
    from: PathBuf,
    /// The signed manifest that the log must begin with
    #[arg(long, value_name = "FILE")]
    genesis: PathBuf,
    /// Checksums of the archives that were kept apart from them, as `sha256sum` writes them; else those beside the files
    #[arg(long, value_name = "FILE")]
    checksums: Option<PathBuf>,
    /// The position that the log must end at, where it is known
    #[arg(long, value_name = "POSITION")]
    head: Option<u64>,
    /// One JSON object a line
    #[arg(long)]
    pub(super) json: bool,
}

/// What came of it.
#[derive(Serialize)]
struct Outcome {
    outcome: &'static str,
    #[serde(flatten)]
    restored: Restored,
}

pub(super) async fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    let plan = Plan {
        folder: &arguments.from,
        genesis_sha256: restore::expected_genesis(&arguments.genesis)?,
        checksums: arguments.checksums.as_deref().map(Checksums::read).transpose()?,
        head: arguments.head,
    };
    let events = source::total(&source::archives(&arguments.from)?).map_or(0, |total| total.events);
    let bar = progress("restore", events);
    let restored = restore::restore(&arguments.database.database_url, plan, |events| bar.inc(events)).await?;
    bar.finish_and_clear();
    report(arguments.json, &Outcome { outcome: "restored", restored }, || {
        let Restored { summary, streams, events_per_second, .. } = restored;
        format!(
            "positions 1 to {}: {} events of {} commands in {streams} streams restored, {events_per_second} events/s",
            summary.last_position, summary.events, summary.commands
        )
    })?;
    Ok(ExitCode::SUCCESS)
}
