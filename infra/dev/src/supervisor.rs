//! The process that owns the site: starts everything, keeps it running, stops it in good order.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nsl_local_services::{
    Hooks, Identity, NETWORK_MAGIC, NatsEndpoint, Part, PrivateFileError, Site, Tools, ToolsError,
};
use nsl_schemas::authority::SealingProvider;

use crate::binaries::{self, Binaries};
use crate::ceremony::{self, DEMO_TENANT, Measured};
use crate::contexts;
use crate::custodians;
use crate::interrupt;
use crate::layout::Layout;
use crate::outcome::Outcome;
use crate::progress::Progress;
use crate::restart::Restart;
use crate::runner_record::{Line, RunnerRecord, State};
use crate::services::{self, SERVICES};
use crate::up::Scope;

/// How soon an ended process is noticed.
const WATCH_INTERVAL: Duration = Duration::from_millis(100);

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Site(#[from] nsl_local_services::Error),
    #[error(transparent)]
    Tools(#[from] ToolsError),
    #[error(transparent)]
    Binaries(#[from] binaries::Error),
    #[error(transparent)]
    File(#[from] PrivateFileError),
    #[error("cannot read this process' own state from /proc")]
    Identity,
    #[error(transparent)]
    Ceremony(#[from] ceremony::Error),
    #[error(transparent)]
    Custodians(#[from] custodians::Error),
    #[error(transparent)]
    Contexts(#[from] contexts::Error),
    #[error("cannot start the asynchronous runtime")]
    Runtime(#[source] std::io::Error),
    #[error("cannot leave the terminal's session")]
    Session(#[source] nix::Error),
}

/// Owns the site in this terminal until Ctrl-C.
pub(crate) fn run_foreground(layout: &Layout, scope: &Scope) -> Result<Outcome, Error> {
    // Before the progress line, which cargo's own would disturb.
    let binaries = build(layout, scope)?;
    let progress = Progress::start();
    let result = own(layout, scope, binaries, &progress.hooks(), |lines| {
        progress.finish();
        println!("{}\nCtrl-C stops everything.", crate::up::summary(lines));
    });
    progress.finish();
    result
}

/// Owns the site without a terminal, until `down`.
pub(crate) fn run_detached(layout: &Layout, scope: &Scope) -> Result<Outcome, Error> {
    // Out of the terminal's session: its Ctrl-C and its closing are no longer ours.
    nix::unistd::setsid().map_err(Error::Session)?;
    let record = RecordFile::create(layout)?;
    let phases = record.clone();
    let hooks = Hooks {
        cancelled: interrupt::flag(),
        progress: Arc::new(move |phase: &str| {
            // `up` shows the phase; a start must not fail because it cannot be shown.
            let _ = phases.write(State::Starting { phase: phase.to_owned() });
        }),
    };
    own(layout, scope, build(layout, scope)?, &hooks, |_| {})
}

/// Builds our services, unless only the parts are wanted.
pub(crate) fn build(layout: &Layout, scope: &Scope) -> Result<Option<Binaries>, binaries::Error> {
    (!scope.parts_only).then(|| Binaries::build(layout.root(), &services::built())).transpose()
}

/// Owns the site for as long as `work` takes.
pub(crate) fn run_for(
    layout: &Layout,
    scope: &Scope,
    work: impl FnOnce(&[Line]) -> anyhow::Result<Outcome>,
) -> anyhow::Result<Outcome> {
    let binaries = build(layout, scope)?;
    let progress = Progress::start();
    let record = RecordFile::create(layout)?;
    let mut site = Site::open_with(layout.site().path(), Tools::from_environment()?, progress.hooks())?;
    record.write(State::Starting { phase: "starting".into() })?;
    let result =
        start(binaries, scope.sealing_provider(), &mut site).map_err(anyhow::Error::from).and_then(|lines| {
            progress.finish();
            work(&lines)
        });
    let stopped = site.stop();
    record.remove();
    let outcome = result?;
    stopped?;
    Ok(outcome)
}

fn own(
    layout: &Layout,
    scope: &Scope,
    binaries: Option<Binaries>,
    hooks: &Hooks,
    ready: impl Fn(&[Line]),
) -> Result<Outcome, Error> {
    let record = RecordFile::create(layout)?;
    let mut site = Site::open_with(layout.site().path(), Tools::from_environment()?, hooks.clone())?;
    record.write(State::Starting { phase: "starting".into() })?;
    let result = start(binaries, scope.sealing_provider(), &mut site).and_then(|lines| {
        record.write(State::Ready { lines: lines.clone() })?;
        ready(&lines);
        watch(&mut site)
    });
    let stopped = site.stop();
    match result {
        Err(error) if !interrupt::was_requested() => {
            record.write(State::Failed { error: chain(&error) })?;
            Err(error)
        }
        _ => {
            stopped?;
            record.remove();
            Ok(Outcome::Done)
        }
    }
}

fn start(
    binaries: Option<Binaries>,
    sealing_provider: SealingProvider,
    site: &mut Site,
) -> Result<Vec<Line>, Error> {
    site.add_tenant(DEMO_TENANT)?;
    for part in Part::ALL {
        site.start(part)?;
    }
    let mut lines = part_lines(site);
    if let Some(binaries) = binaries {
        start_services(site, &binaries, sealing_provider, &mut lines)?;
    }
    Ok(lines)
}

/// Genesis first, then what takes commands, then roots and grants, then everything that needs them.
fn start_services(
    site: &mut Site,
    binaries: &Binaries,
    sealing_provider: SealingProvider,
    lines: &mut Vec<Line>,
) -> Result<(), Error> {
    let worker = binaries.path("nsl-enclave-worker");
    let now_ms = nsl_client::prepared::unix_now_ms();
    let files = ceremony::prepare(site, &worker, Measured::Worker, sealing_provider, now_ms)?;
    let workers = services::local_workers(site.directory());
    services::start(site, binaries, &files, &workers, |service| service.name == services::COMMANDS)?;
    let runtime = tokio::runtime::Runtime::new().map_err(Error::Runtime)?;
    runtime.block_on(ceremony::register(site))?;
    // The host is ready when a worker has its sealing key, so that is given while the services start.
    let (directory, nats) = (site.directory().clone(), site.endpoints().nats.clone());
    let provisioning = runtime.spawn(custodians::provision(directory, nats.ok_or(ceremony::Error::NoBus)?));
    services::start(site, binaries, &files, &workers, |service| service.name != services::COMMANDS)?;
    runtime.block_on(provisioning).map_err(|error| Error::Runtime(error.into()))??;
    for service in &SERVICES {
        lines.push(Line { label: service.name.into(), value: services::address(site, service)? });
    }
    let nats = site.endpoints().nats.as_ref().ok_or(ceremony::Error::NoBus)?;
    let home = contexts::write(site.directory(), nats, &files)?;
    let cli = binaries.path("nsl");
    lines.push(Line { label: FIRST_COMMAND.into(), value: first_command(&home, &cli) });
    if ceremony::is_worker_outdated(&files, &worker) {
        let note =
            "another build than the site began with, which goes on; `cargo dev reset` adopts the new one";
        lines.push(Line { label: "note: worker".into(), value: note.into() });
    }
    Ok(())
}

/// The label of the line with a command to try.
pub(crate) const FIRST_COMMAND: &str = "try";

fn first_command(home: &Path, cli: &Path) -> String {
    format!(
        "XDG_CONFIG_HOME={} {} wallet create first --network-magic {NETWORK_MAGIC} --allow GAS=100",
        home.display(),
        cli.display()
    )
}

/// Where the parts are.
pub(crate) fn part_lines(site: &Site) -> Vec<Line> {
    let endpoints = site.endpoints();
    let line = |label: &str, value: String| Line { label: label.into(), value };
    let mut lines = Vec::new();
    if let Some(postgres) = &endpoints.postgres {
        lines.push(line("postgres", postgres.url()));
    }
    if let Some(nats) = &endpoints.nats {
        let url = |user: &str| nats.url(user).unwrap_or_else(|| nats.server());
        lines.push(line("nats", url(&NatsEndpoint::tenant_user(DEMO_TENANT))));
        lines.push(line("nats admin", url("admin")));
        lines.push(line("nats monitoring", format!("http://127.0.0.1:{}", nats.monitoring_port)));
    }
    if let Some(neo) = &endpoints.neo {
        lines.push(line("neo rpc", neo.rpc_url()));
        lines.push(line("neo events", neo.websocket_url()));
    }
    lines.push(line("logs", site.directory().logs().display().to_string()));
    lines
}

/// Starts ended processes again until an end is asked for.
fn watch(site: &mut Site) -> Result<Outcome, Error> {
    let mut restarts = BTreeMap::<String, Restart>::new();
    while !interrupt::was_requested() {
        for (name, status) in site.take_exits()? {
            eprintln!("{name} ended with {status}; it is started again");
            restarts.entry(name).or_default().ended(Instant::now());
        }
        for (name, restart) in &mut restarts {
            if restart.take_due(Instant::now()) {
                match site.restart(name) {
                    Ok(()) => {}
                    Err(nsl_local_services::Error::Process(error)) => {
                        eprintln!("{}", chain(&error));
                        restart.ended(Instant::now());
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
        std::thread::sleep(WATCH_INTERVAL);
    }
    Ok(Outcome::Done)
}

#[derive(Clone)]
struct RecordFile {
    path: PathBuf,
    identity: Identity,
}

impl RecordFile {
    fn create(layout: &Layout) -> Result<Self, Error> {
        let identity = Identity::of(std::process::id()).ok_or(Error::Identity)?;
        Ok(Self { path: layout.runner_record(), identity })
    }

    fn write(&self, state: State) -> Result<(), PrivateFileError> {
        RunnerRecord { identity: self.identity.clone(), state }.write(&self.path)
    }

    fn remove(&self) {
        // A record of a runner that is gone counts as none.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// An error with its causes, as one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text = format!("{text}: {source}");
        cause = source.source();
    }
    text
}
