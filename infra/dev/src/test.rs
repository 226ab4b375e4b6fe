//! `cargo dev test`: all tests against real services that exist only for this run.

use std::process::Command;

use nsl_local_services::{Part, Site, Tools, ToolsError};

use crate::interrupt;
use crate::layout::Layout;
use crate::outcome::Outcome;
use crate::progress::Progress;

/// Everything: the development parts too, which distribution builds lack.
const CARGO_ARGUMENTS: [&str; 3] = ["test", "--workspace", "--all-features"];
const BUILD_ONLY: &str = "--no-run";

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
    Tools(#[from] ToolsError),
    #[error(transparent)]
    Site(#[from] nsl_local_services::Error),
}

pub(crate) fn run(layout: &Layout, arguments: &Arguments) -> Result<Outcome, Error> {
    // Built first: what does not compile needs no services.
    if !succeeds(cargo(layout).arg(BUILD_ONLY))? {
        return Ok(ended_badly());
    }
    let progress = Progress::start();
    let site = Site::temporary_with(&Part::ALL, Tools::from_environment()?, progress.hooks());
    progress.finish();
    let mut site = site?;
    let mut tests = cargo(layout);
    tests.args(&arguments.filter).envs(environment(&site)?);
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

/// What tests are told; those that need one of these are skipped, aloud, without it.
fn environment(site: &Site) -> Result<[(&'static str, String); 4], Error> {
    let endpoints = site.endpoints();
    let postgres = endpoints.postgres.as_ref().ok_or(Error::NoEndpoint)?;
    let nats = endpoints.nats.as_ref().and_then(|nats| nats.url("admin")).ok_or(Error::NoEndpoint)?;
    let neo = endpoints.neo.as_ref().ok_or(Error::NoEndpoint)?;
    Ok([
        ("NSL_TEST_DATABASE_URL", postgres.url()),
        ("NSL_TEST_NATS_URL", nats),
        ("NSL_TEST_NEO_RPC", neo.rpc_url()),
        ("NSL_TOOLS_DIR", site.tools().directory().display().to_string()),
    ])
}
