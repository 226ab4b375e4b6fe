//! `cargo dev bench`: release builds on a site that exists only for this run. `nsl-load` measures; this sets the stage:
//! real wallets by real workers, then the pool stands still, so that the commands alone are measured.

use std::path::Path;
use std::process::Command;

use nsl_client::Credentials;
use nsl_local_services::{
    NatsEndpoint, Part, PostgresEndpoint, PrivateFileError, Site, Tools, ToolsError, read_bounded,
    write_private,
};
use nsl_schemas::authority::SealingProvider;
use toml::{Table, Value};

use crate::bench_peers;
use crate::binaries::{self, Binaries};
use crate::ceremony::{self, DEMO_TENANT, Files, Measured};
use crate::interrupt;
use crate::keys;
use crate::layout::Layout;
use crate::outcome::Outcome;
use crate::progress::Progress;
use crate::services::{self, COMMANDS, Kind, SERVICES, Service};

/// What gives the wallets their keys; stopped before the measuring.
const POOL: [&str; 4] = ["enclave-worker-1", "enclave-worker-2", "enclave-worker-3", "enclave-host"];
/// With the pool stopped, jobs stay open. A live pool would have closed them long before they are published again, so
/// within a measurement they are not: an hour is longer than any.
const REPUBLISH_AFTER_MS: i64 = 60 * 60 * 1000;

/// What puts the load on.
static LOAD: Service = Service {
    name: "load",
    package: "nsl-load",
    binary: "nsl-load",
    features: &["development"],
    needs: &[],
    kind: Kind::Service,
};

/// Where `nsl-load` finds the database.
const DATABASE_URL: &str = "NSL_LOAD_DATABASE_URL";
/// Where it finds the worker's program.
const WORKER_PROGRAM: &str = "NSL_LOAD_WORKER";
/// The worker's package and program.
const WORKER: &str = "nsl-enclave-worker";
/// Where it finds message-db's functions.
const MESSAGE_DB: &str = "NSL_LOAD_MESSAGE_DB";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(clap::Subcommand)]
enum Bench {
    /// Commands a second and their latency from publish to result, beside stock cqrs-es and a bare group commit
    Commands {
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// The event log alone: appends beside other event stores and a bare insert, and its cost as it grows
    Log {
        /// One JSON object a line
        #[arg(long)]
        json: bool,
        /// Grow the log to ten million events instead of one million; takes many minutes
        #[arg(long)]
        full: bool,
    },
    /// Signing jobs through the channel to enclave workers, beside the same primitives in a bare loop and SoftHSM2
    Enclave {
        /// One JSON object a line
        #[arg(long)]
        json: bool,
        /// Watch a worker's memory over ten million jobs instead of 300,000; takes half an hour
        #[arg(long)]
        full: bool,
    },
}

/// What `nsl-load` runs for `log`, one after the other, on a Postgres of their own; each takes `--json` and `--full`.
const LOG_PARTS: [&str; 2] = ["log-append", "log-replay"];

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Binaries(#[from] binaries::Error),
    #[error(transparent)]
    Tools(#[from] ToolsError),
    #[error(transparent)]
    Site(#[from] nsl_local_services::Error),
    #[error(transparent)]
    Ceremony(#[from] ceremony::Error),
    #[error("cannot start the asynchronous runtime")]
    Runtime(#[source] std::io::Error),
    #[error(transparent)]
    File(#[from] PrivateFileError),
    #[error("the processor's configuration is not what was written")]
    Configuration(#[source] toml::de::Error),
    #[error("cannot make a folder for the peers")]
    Peers(#[source] std::io::Error),
    #[error("cannot run nsl-load")]
    Load(#[source] std::io::Error),
    #[error("a service that was just started has no endpoint")]
    NoEndpoint,
}

pub(crate) fn run(layout: &Layout, arguments: &Arguments) -> Result<Outcome, Error> {
    match arguments.bench {
        Bench::Commands { json } => commands(layout, json),
        Bench::Log { json, full } => log(layout, json, full),
        Bench::Enclave { json, full } => enclave(layout, json, full),
    }
}

/// Each part of it makes databases of its own in one Postgres.
fn log(layout: &Layout, json: bool, full: bool) -> Result<Outcome, Error> {
    let binaries = Binaries::build_release(layout.root(), &[&LOAD].into_iter())?;
    let progress = Progress::start();
    let site = Site::temporary_with(&[Part::Postgres], Tools::from_environment()?, progress.hooks());
    progress.finish();
    let mut site = site?;
    let Some(url) = site.endpoints().postgres.as_ref().map(PostgresEndpoint::url) else {
        return Err(Error::NoEndpoint);
    };
    let peers = tempfile::tempdir().map_err(Error::Peers)?;
    let message_db = bench_peers::message_db(peers.path());
    let mut measured = true;
    for part in LOG_PARTS {
        let mut command = Command::new(binaries.path(LOAD.binary));
        command.arg(part).env(DATABASE_URL, &url);
        command.envs(message_db.as_ref().map(|folder| (MESSAGE_DB, folder)));
        command.args(json.then_some("--json")).args(full.then_some("--full"));
        measured &= command.status().map_err(Error::Load)?.success();
    }
    site.stop()?;
    Ok(if measured { Outcome::Done } else { ended_badly() })
}

/// Workers alone: `nsl-load` starts and stops them, each on a core of its own.
fn enclave(layout: &Layout, json: bool, full: bool) -> Result<Outcome, Error> {
    let worker = SERVICES.iter().find(|service| POOL.contains(&service.name) && service.package == WORKER);
    let binaries = Binaries::build_release(layout.root(), &worker.into_iter().chain([&LOAD]))?;
    let peers = tempfile::tempdir().map_err(Error::Peers)?;
    let mut command = Command::new(binaries.path(LOAD.binary));
    command.arg("enclave").env(WORKER_PROGRAM, binaries.path(WORKER));
    command.env(bench_peers::SOFTHSM, bench_peers::softhsm(peers.path()).map_err(Error::Peers)?);
    command.args(json.then_some("--json")).args(full.then_some("--full"));
    let measured = command.status().map_err(Error::Load)?.success();
    Ok(if measured { Outcome::Done } else { ended_badly() })
}

fn commands(layout: &Layout, json: bool) -> Result<Outcome, Error> {
    let measured = SERVICES.iter().filter(|service| is_needed(service)).chain([&LOAD]);
    let binaries = Binaries::build_release(layout.root(), &measured)?;
    let progress = Progress::start();
    let started = start(&binaries, &progress);
    progress.finish();
    let (mut site, files) = started?;
    let opened = load(&site, &binaries, &files, &["open-wallets"])?;
    if !opened {
        return Ok(ended_badly());
    }
    stop_pool(&mut site)?;
    let flags: &[&str] = if json { &["commands", "--json"] } else { &["commands"] };
    let measured = load(&site, &binaries, &files, flags)?;
    site.stop()?;
    Ok(if measured { Outcome::Done } else { ended_badly() })
}

fn is_needed(service: &Service) -> bool {
    service.name == COMMANDS || POOL.contains(&service.name)
}

fn ended_badly() -> Outcome {
    if interrupt::was_requested() { Outcome::Interrupted } else { Outcome::Failed }
}

fn start(binaries: &Binaries, progress: &Progress) -> Result<(Site, Files), Error> {
    let mut site = Site::temporary_with(&[], Tools::from_environment()?, progress.hooks())?;
    site.add_tenant(DEMO_TENANT)?;
    site.start(Part::Postgres)?;
    site.start(Part::Nats)?;
    let worker = binaries.path("nsl-enclave-worker");
    let now_ms = nsl_client::prepared::unix_now_ms();
    let files = ceremony::prepare(&site, &worker, Measured::Worker, SealingProvider::Development, now_ms)?;
    let workers = services::local_workers(site.directory());
    services::start(&mut site, binaries, &files, &workers, |service| service.name == COMMANDS)?;
    let runtime = tokio::runtime::Runtime::new().map_err(Error::Runtime)?;
    runtime.block_on(ceremony::register(&site))?;
    services::start(&mut site, binaries, &files, &workers, |service| POOL.contains(&service.name))?;
    Ok((site, files))
}

/// From here on jobs wait on the bus, and the processor starts with nothing in memory.
fn stop_pool(site: &mut Site) -> Result<(), Error> {
    for name in POOL.iter().rev() {
        site.stop_process(name)?;
    }
    let path = site.directory().configuration(&format!("{COMMANDS}.toml"));
    let text = read_bounded(&path)?.unwrap_or_default();
    let mut configuration: Table = text.parse().map_err(Error::Configuration)?;
    let reactor = configuration.entry("reactor").or_insert_with(|| Table::new().into());
    if let Some(reactor) = reactor.as_table_mut() {
        reactor.insert("republish_after_ms".to_owned(), Value::from(REPUBLISH_AFTER_MS));
    }
    write_private(&path, configuration.to_string().as_bytes())?;
    site.restart(COMMANDS)?;
    Ok(())
}

/// Runs `nsl-load` to its end; whether it succeeded.
fn load(site: &Site, binaries: &Binaries, files: &Files, arguments: &[&str]) -> Result<bool, Error> {
    let mut command = Command::new(binaries.path(LOAD.binary));
    command.args(arguments).envs(environment(site, &files.genesis)?);
    Ok(command.status().map_err(Error::Load)?.success())
}

fn environment(site: &Site, genesis: &Path) -> Result<[(&'static str, String); 7], Error> {
    let endpoints = site.endpoints();
    let (Some(nats), Some(postgres)) = (&endpoints.nats, &endpoints.postgres) else {
        return Err(Error::NoEndpoint);
    };
    let issuer = keys::seed_file(site.directory(), keys::DEVELOPER);
    let Credentials { user, password } = ceremony::credentials(nats, &NatsEndpoint::tenant_user(DEMO_TENANT));
    Ok([
        ("NSL_LOAD_NATS_URL", nats.server()),
        ("NSL_LOAD_NATS_USER", user),
        ("NSL_LOAD_NATS_PASSWORD", password),
        (DATABASE_URL, postgres.url()),
        ("NSL_LOAD_GENESIS", genesis.display().to_string()),
        ("NSL_LOAD_ISSUER_SEED", issuer.display().to_string()),
        ("NSL_LOAD_TENANT", DEMO_TENANT.to_owned()),
    ])
}
