//! `cargo dev test`: all tests against real services that exist only for this run.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use nsl_local_services::{NatsEndpoint, Part, Site, Tools, ToolsError};

use crate::binaries::{self, Binaries};
use crate::interrupt;
use crate::layout::Layout;
use crate::outcome::Outcome;
use crate::progress::Progress;
use crate::services;

/// Everything: the development parts too, which distribution builds lack.
const CARGO_ARGUMENTS: [&str; 4] = ["test", "--workspace", "--all-features", "--no-fail-fast"];
const BUILD_ONLY: &str = "--no-run";
/// What holds keys, and therefore may have nothing of feature `development` in a distribution.
const WORKER: &str = "nsl-enclave-worker";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Run only tests whose name contains this
    #[arg(long)]
    filter: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot run cargo")]
    Cargo(#[source] std::io::Error),
    #[error("a service that was just started has no endpoint")]
    NoEndpoint,
    #[error(transparent)]
    Binaries(#[from] binaries::Error),
    #[error("cannot keep a built program")]
    Keep(#[source] std::io::Error),
    #[error(transparent)]
    Tools(#[from] ToolsError),
    #[error(transparent)]
    Site(#[from] nsl_local_services::Error),
}

pub(crate) fn run(layout: &Layout, arguments: &Arguments) -> Result<Outcome, Error> {
    // Built first: what does not compile needs no services.
    if !succeeds(cargo(layout).arg(BUILD_ONLY))? {
        return Ok(ended_badly());
    }
    let programs = Programs::build(layout)?;
    let progress = Progress::start();
    let site = Site::temporary_with(&Part::ALL, Tools::from_environment()?, progress.hooks());
    progress.finish();
    let mut site = site?;
    let mut tests = cargo(layout);
    tests.args(&arguments.filter).envs(environment(&site)?).envs(programs.environment());
    let passed = succeeds(&mut tests)?;
    site.stop()?;
    Ok(if passed { Outcome::Done } else { ended_badly() })
}

fn cargo(layout: &Layout) -> Command {
    let mut command = Command::new("cargo");
    command.args(CARGO_ARGUMENTS).current_dir(layout.root());
    command
}

fn succeeds(command: &mut Command) -> Result<bool, Error> {
    // Ctrl-C at the terminal reaches cargo itself: it ends, and we go on to the tear-down.
    Ok(command.status().map_err(Error::Cargo)?.success())
}

fn ended_badly() -> Outcome {
    if interrupt::was_requested() { Outcome::Interrupted } else { Outcome::Failed }
}

/// What system tests run: the services as a local site has them, and a worker as a distribution has it. Kept apart from
/// the target folder, where the tests' own build puts programs with every feature.
struct Programs {
    /// Of this workspace's programs.
    target: PathBuf,
    services: tempfile::TempDir,
    /// The services again, those of them with failpoints that have some.
    failpoints: tempfile::TempDir,
    distribution: tempfile::TempDir,
}

impl Programs {
    fn build(layout: &Layout) -> Result<Self, Error> {
        let distribution_worker = binaries::build_distribution(layout.root(), WORKER)?;
        let target = distribution_worker.parent().map(PathBuf::from).unwrap_or_default();
        let folder = || tempfile::tempdir_in(&target).map_err(Error::Keep);
        let (services, failpoints, distribution) = (folder()?, folder()?, folder()?);
        keep(&distribution_worker, distribution.path(), WORKER)?;
        for (name, built) in &binaries::build_failpoints(layout.root(), &services::with_failpoints())? {
            keep(built, failpoints.path(), name)?;
        }
        let built = Binaries::build(layout.root(), &services::built())?;
        let names: BTreeSet<&str> = services::built().map(|service| service.binary).collect();
        for name in names {
            keep(&built.path(name), services.path(), name)?;
            if !failpoints.path().join(name).exists() {
                keep(&built.path(name), failpoints.path(), name)?;
            }
        }
        Ok(Self { target, services, failpoints, distribution })
    }

    fn environment(&self) -> [(&'static str, PathBuf); 4] {
        [
            ("NSL_TEST_BINARIES_DIR", self.services.path().to_owned()),
            ("NSL_TEST_FAILPOINT_BINARIES_DIR", self.failpoints.path().to_owned()),
            // Not this process' own file, which cargo may have replaced since the start.
            ("NSL_TEST_DEV", self.target.join("nsl-dev")),
            ("NSL_TEST_DISTRIBUTION_WORKER", self.distribution.path().join(WORKER)),
        ]
    }
}

/// Cargo's next build replaces the file and leaves the one that we have.
fn keep(built: &Path, folder: &Path, name: &str) -> Result<(), Error> {
    std::fs::hard_link(built, folder.join(name)).map_err(Error::Keep)
}

/// What tests are told; those that need one of these are skipped, aloud, without it.
fn environment(site: &Site) -> Result<[(&'static str, String); 5], Error> {
    let endpoints = site.endpoints();
    let postgres = endpoints.postgres.as_ref().ok_or(Error::NoEndpoint)?;
    let nats = endpoints.nats.as_ref().map(NatsEndpoint::server).ok_or(Error::NoEndpoint)?;
    let neo = endpoints.neo.as_ref().ok_or(Error::NoEndpoint)?;
    let neogo = site.tools().find_neogo().ok_or(Error::NoEndpoint)?.program;
    Ok([
        ("NSL_TEST_DATABASE_URL", postgres.url()),
        ("NSL_TEST_NATS_URL", nats),
        ("NSL_TEST_NEO_RPC", neo.rpc_url()),
        ("NSL_TEST_NEOGO", neogo.display().to_string()),
        ("NSL_TOOLS_DIR", site.tools().directory().display().to_string()),
    ])
}
