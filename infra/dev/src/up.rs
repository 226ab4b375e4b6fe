//! `cargo dev up`: start everything and keep it running, here or in the background.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use nsl_local_services::{PrivateFileError, make_directory};
use nsl_schemas::authority::SealingProvider;

use crate::interrupt;
use crate::layout::Layout;
use crate::outcome::Outcome;
use crate::progress::Progress;
use crate::runner_record::{Line, RunnerRecord, State, table};
use crate::supervisor;

/// Fast enough for a second start to feel immediate.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Stay in this terminal; Ctrl-C stops everything
    #[arg(long)]
    foreground: bool,
    #[command(flatten)]
    scope: Scope,
}

#[derive(clap::Args)]
pub(crate) struct Scope {
    /// Start only Postgres, NATS and Neo: for services that you run yourself, in a debugger for instance
    #[arg(long)]
    pub(crate) parts_only: bool,
    /// A new site seals keys by custodians, two of the three in its folder `keys`, and not by a key file; a later start does
    /// as the site began
    #[arg(long)]
    pub(crate) custodians: bool,
}

impl Scope {
    /// What a new site seals by.
    pub(crate) fn sealing_provider(&self) -> SealingProvider {
        if self.custodians { SealingProvider::CustodianQuorum } else { SealingProvider::Development }
    }
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot start the background process")]
    Spawn(#[source] std::io::Error),
    #[error("the background process ended with {status}; see {log}")]
    Ended { status: std::process::ExitStatus, log: String },
    #[error("{0}")]
    Start(String),
    #[error(transparent)]
    Supervisor(#[from] supervisor::Error),
    #[error(transparent)]
    File(#[from] PrivateFileError),
}

pub(crate) fn run(layout: &Layout, arguments: &Arguments) -> Result<Outcome, Error> {
    if let Some(record) = RunnerRecord::read_alive(&layout.runner_record())? {
        let State::Ready { lines } = record.state else {
            eprintln!("already starting (process {}); see `cargo dev status`", record.identity.id);
            return Ok(Outcome::Conflict);
        };
        println!("Already running.\n{}", summary(&lines));
        return Ok(Outcome::Done);
    }
    if arguments.foreground {
        return Ok(supervisor::run_foreground(layout, &arguments.scope)?);
    }
    // Here, where cargo can be seen at work; the runner's own build then finds everything done.
    supervisor::build(layout, &arguments.scope).map_err(supervisor::Error::from)?;
    let progress = Progress::start();
    progress.phase("starting");
    let mut child = spawn(layout, &arguments.scope)?;
    let result = await_ready(layout, &mut child, &progress);
    progress.finish();
    let Some(lines) = result? else { return Ok(Outcome::Interrupted) };
    println!("{}\nStop: cargo dev down", summary(&lines));
    Ok(Outcome::Done)
}

/// What a person reads when everything runs, with a first command to try.
pub(crate) fn summary(lines: &[Line]) -> String {
    let (commands, endpoints): (Vec<Line>, Vec<Line>) =
        lines.iter().cloned().partition(|line| line.label == supervisor::FIRST_COMMAND);
    let mut text = format!("Ready.\n{}", table(&endpoints));
    // Without our services there is the database to look at.
    let psql = || {
        let postgres = endpoints.iter().find(|line| line.label == "postgres")?;
        Some(format!("psql {} -c 'select version()'", postgres.value))
    };
    if let Some(command) = commands.into_iter().next().map(|line| line.value).or_else(psql) {
        text.push_str("\nTry:\n  ");
        text.push_str(&command);
    }
    text
}

fn spawn(layout: &Layout, scope: &Scope) -> Result<Child, Error> {
    make_directory(&layout.site().logs(), 0o700)?;
    let mut options = OpenOptions::new();
    options.create(true).append(true).mode(0o600);
    let log = options.open(layout.site().log("runner")).map_err(Error::Spawn)?;
    let mut command = Command::new(std::env::current_exe().map_err(Error::Spawn)?);
    command
        .arg("supervise")
        .args(scope.parts_only.then_some("--parts-only"))
        .args(scope.custodians.then_some("--custodians"))
        .current_dir(layout.root());
    command.stdin(Stdio::null()).stdout(log.try_clone().map_err(Error::Spawn)?).stderr(log);
    command.spawn().map_err(Error::Spawn)
}

/// Shows the runner's phases until it is ready; `None` when an end was asked for.
fn await_ready(layout: &Layout, child: &mut Child, progress: &Progress) -> Result<Option<Vec<Line>>, Error> {
    let mut shown = String::new();
    loop {
        if interrupt::was_requested() {
            progress.phase("stopping");
            end(child)?;
            return Ok(None);
        }
        let ended = child.try_wait().map_err(Error::Spawn)?;
        let record = RunnerRecord::read(&layout.runner_record())?;
        match record.filter(|record| record.identity.id == child.id()).map(|record| record.state) {
            Some(State::Ready { lines }) if ended.is_none() => return Ok(Some(lines)),
            Some(State::Failed { error }) => return Err(Error::Start(error)),
            Some(State::Starting { phase }) if phase != shown => {
                progress.phase(&phase);
                shown = phase;
            }
            _ => {}
        }
        if let Some(status) = ended {
            return Err(Error::Ended { status, log: layout.site().log("runner").display().to_string() });
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

fn end(child: &mut Child) -> Result<(), Error> {
    let failed = |error: std::io::Error| Error::Spawn(error);
    if child.try_wait().map_err(failed)?.is_none() {
        let id = i32::try_from(child.id()).map_err(|error| failed(std::io::Error::other(error)))?;
        // It stops its processes within a bound and then ends.
        kill(Pid::from_raw(id), Signal::SIGTERM).map_err(|error| failed(error.into()))?;
        child.wait().map_err(failed)?;
    }
    Ok(())
}
