//! `nsl-event-log verify`: recomputes every hash, of archives without any database, or of the whole database.

use std::path::PathBuf;
use std::process::ExitCode;

use nsl_event_store::ReplayOptions;
use serde::Serialize;

use super::{Database, Error, progress, report, threads};
use crate::archive::Summary;
use crate::source;

#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true).multiple(false).args(["folder", "database_url"])))]
pub(super) struct Arguments {
    /// The folder of archives
    folder: Option<PathBuf>,
    /// The database of the log, instead of archives
    #[arg(long = "database", value_name = "URL", env = "NSL_EVENT_LOG_DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    /// One JSON object a line
    #[arg(long)]
    pub(super) json: bool,
}

/// A stretch of the log that is what was appended.
#[derive(Serialize)]
struct Intact {
    outcome: &'static str,
    #[serde(flatten)]
    summary: Summary,
}

pub(super) async fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    let summary = match (&arguments.folder, &arguments.database_url) {
        (Some(folder), _) => archives(folder)?,
        (None, Some(url)) => database(&Database { database_url: url.clone() }).await?,
        // clap's group demands one of them.
        (None, None) => Summary { first_position: 1, last_position: 0, events: 0, commands: 0 },
    };
    let intact = Intact { outcome: "intact", summary };
    report(arguments.json, &intact, || {
        let Summary { first_position, last_position, events, commands } = summary;
        format!(
            "positions {first_position} to {last_position}: {events} events of {commands} commands, as appended"
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

fn archives(folder: &std::path::Path) -> Result<Summary, Error> {
    let archives = source::archives(folder)?;
    let nothing = Summary { first_position: 1, last_position: 0, events: 0, commands: 0 };
    let total = source::total(&archives).unwrap_or(nothing);
    let bar = progress("verify", total.events);
    for (path, archive) in &archives {
        let failed = |source| source::Error::Archive { path: path.clone(), source };
        archive.verify(threads(), |events| bar.inc(events)).map_err(failed)?;
    }
    bar.finish_and_clear();
    Ok(total)
}

async fn database(database: &Database) -> Result<Summary, Error> {
    let reader = database.reader().await?;
    let first_position = reader.bounds().await?.first_position;
    let options = ReplayOptions { after: first_position - 1, ..ReplayOptions::default() };
    let mut replay = reader.replay(options).await?;
    let bar = progress("verify", replay.upto());
    bar.set_position(first_position - 1);
    let mut commands = 0;
    while let Some(page) = replay.next_page().await? {
        commands += page.iter().filter(|event| event.command.is_some()).count() as u64;
        bar.set_position(page.position());
    }
    bar.finish_and_clear();
    let last_position = replay.upto();
    Ok(Summary { first_position, last_position, events: last_position + 1 - first_position, commands })
}
