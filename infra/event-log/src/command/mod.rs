//! `nsl-event-log` as an operator or auditor sees it: one file a subcommand, one exit code a meaning.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line speaks on stdout and stderr")]

mod archive;
mod detach;
mod partitions;
mod receipts;
mod restore;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use nsl_event_store::{ConnectError, EventReader, ReadError};
use serde::Serialize;

use crate::{partitions as life, source};

/// Exit code of everything that failed and may be tried again.
pub const EXIT_FAILED: u8 = 1;
/// Exit code of a log that is not what was appended, or of receipts that differ from it.
pub const EXIT_ALTERED: u8 = 3;

/// Archive, verify and detach the event log; derive its receipts
#[derive(Debug, Parser)]
#[command(name = "nsl-event-log", version)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the log's partitions and their states
    Partitions(partitions::Arguments),
    /// Write the archives of sealed partitions, read each back, and remember it
    Archive(archive::Arguments),
    /// Check every event and command against its hash, in archives or in the database
    Verify(verify::Arguments),
    /// Take archived partitions out of the log, from its beginning on
    Detach(detach::Detach),
    /// Put detached partitions back, the last one first
    Attach(detach::Attach),
    /// Derive every receipt from events and commands, and compare or rebuild the receipts' table
    Receipts(receipts::Arguments),
    /// Make archives the log of an empty database, whole or not at all
    Restore(restore::Arguments),
}

/// The database of the log.
#[derive(Debug, clap::Args)]
struct Database {
    /// The database of the log; for archive, detach, attach and restore as the role that owns its
    /// tables
    #[arg(long, env = "NSL_EVENT_LOG_DATABASE_URL", hide_env_values = true)]
    database_url: String,
}

impl Database {
    async fn reader(&self) -> Result<EventReader, Error> {
        Ok(EventReader::connect(&self.database_url, 1).await?)
    }

    async fn partitions(&self) -> Result<life::Partitions, Error> {
        Ok(life::Partitions::connect(&self.database_url).await?)
    }
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the log cannot be opened")]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Partitions(#[from] life::Error),
    #[error(transparent)]
    Source(#[from] source::Error),
    #[error(transparent)]
    Restore(#[from] crate::restore::Error),
    #[error("a receipt cannot be derived")]
    Receipt(#[from] crate::receipts::Error),
    #[error("the receipts' table cannot be {operation}")]
    ReceiptTable {
        operation: &'static str,
        #[source]
        source: sqlx::Error,
    },
    #[error("the receipts' table of the other database is not empty")]
    ReceiptsPresent,
    #[error("{} cannot be {operation}", path.display())]
    File {
        path: std::path::PathBuf,
        operation: &'static str,
        #[source]
        source: std::io::Error,
    },
    #[error("{} has another SHA-256 than when it was written", path.display())]
    OtherFile { path: std::path::PathBuf },
    #[error("no partition of the log begins at position {0}")]
    NoPartition(u64),
    #[error("the partition from {first_position} is not archived; archive it first")]
    NotArchived { first_position: u64 },
    #[error(
        "{streams} streams could not be loaded without the partition from {first_position}, among them {}",
        examples.join(", ")
    )]
    StillNeeded { first_position: u64, streams: u64, examples: Vec<String> },
    #[error("the output cannot be written")]
    Output(#[from] serde_json::Error),
}

impl From<ReadError> for Error {
    fn from(error: ReadError) -> Self {
        Self::Source(error.into())
    }
}

impl Error {
    fn exit_code(&self) -> u8 {
        let altered = match self {
            Self::Source(error) => error.is_alteration(),
            Self::Restore(error) => error.is_alteration(),
            Self::Receipt(_) | Self::OtherFile { .. } => true,
            _ => false,
        };
        if altered { EXIT_ALTERED } else { EXIT_FAILED }
    }
}

/// What a failure is called in JSON; `position` is there when the log was altered at one.
#[derive(Serialize)]
struct Failure {
    outcome: &'static str,
    position: Option<u64>,
    reason: String,
}

/// Runs a command and gives its exit code.
pub async fn run(arguments: Arguments) -> ExitCode {
    let (json, done) = match arguments.command {
        Command::Partitions(arguments) => (arguments.json, partitions::run(&arguments).await),
        Command::Archive(arguments) => (arguments.json, archive::run(&arguments).await),
        Command::Verify(arguments) => (arguments.json, verify::run(&arguments).await),
        Command::Detach(arguments) => (arguments.json, detach::detach(&arguments).await),
        Command::Attach(arguments) => (arguments.json, detach::attach(&arguments).await),
        Command::Receipts(arguments) => (arguments.json, receipts::run(&arguments).await),
        Command::Restore(arguments) => (arguments.json, restore::run(&arguments).await),
    };
    match done {
        Ok(code) => code,
        Err(error) => failed(&error, json),
    }
}

fn failed(error: &Error, json: bool) -> ExitCode {
    let code = error.exit_code();
    let reason = described(error);
    if json {
        let position = match error {
            Error::Source(error) => error.altered_position(),
            Error::Restore(error) => error.altered_position(),
            _ => None,
        };
        let outcome = if code == EXIT_ALTERED { "altered" } else { "failed" };
        let failure = Failure { outcome, position, reason };
        if let Ok(line) = serde_json::to_string(&failure) {
            println!("{line}");
        }
    } else {
        eprintln!("nsl-event-log: {reason}");
    }
    ExitCode::from(code)
}

/// The error and what caused it, in one line.
fn described(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let source_text = source.to_string();
        if !text.ends_with(&source_text) {
            text.push_str(": ");
            text.push_str(&source_text);
        }
        next = source.source();
    }
    text
}

/// Prints what was done, for people or for programs.
fn report<T: Serialize>(json: bool, value: &T, text: impl FnOnce() -> String) -> Result<(), Error> {
    if json {
        println!("{}", serde_json::to_string(value)?);
    } else {
        println!("{}", text());
    }
    Ok(())
}

/// Drawn on stderr, and only where that is a terminal.
fn progress(what: &'static str, length: u64) -> ProgressBar {
    let bar = ProgressBar::new(length).with_message(what);
    if let Ok(style) =
        ProgressStyle::with_template("{msg:10} {wide_bar} {human_pos}/{human_len} {per_sec} {eta}")
    {
        bar.set_style(style);
    }
    bar
}

/// Threads that read archives: as many as there are cores.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
