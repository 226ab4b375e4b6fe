//! `cargo dev sim`: builds `nsl-simulation` and runs it with the arguments given.

use std::process::Command;

use crate::binaries::{self, Binaries};
use crate::interrupt;
use crate::layout::Layout;
use crate::outcome::Outcome;
use crate::services::{Kind, Service};

/// What simulates.
static SIMULATION: Service = Service {
    name: "simulation",
    package: "nsl-simulation",
    binary: "nsl-simulation",
    features: &[],
    needs: &[],
    kind: Kind::Service,
};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How many seeds
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 1)]
    first_seed: u64,
    /// Only this one, with its trace on standard error
    #[arg(long, conflicts_with_all = ["seeds", "first_seed"])]
    seed: Option<u64>,
    /// Put each of the planted bugs in as well, until it is caught
    #[arg(long)]
    planted: bool,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Binaries(#[from] binaries::Error),
    #[error("cannot run nsl-simulation")]
    Run(#[source] std::io::Error),
}

pub(crate) fn run(layout: &Layout, arguments: &Arguments) -> Result<Outcome, Error> {
    let binaries = Binaries::build(layout.root(), &std::iter::once(&SIMULATION))?;
    let mut simulation = Command::new(binaries.path(SIMULATION.binary));
    match arguments.seed {
        Some(seed) => simulation.arg(format!("--seed={seed}")),
        None => simulation
            .arg(format!("--seeds={}", arguments.seeds))
            .arg(format!("--first-seed={}", arguments.first_seed)),
    };
    let flags = [("--planted", arguments.planted), ("--json", arguments.json)];
    simulation.args(flags.into_iter().filter(|(_, is_set)| *is_set).map(|(flag, _)| flag));
    if simulation.status().map_err(Error::Run)?.success() {
        return Ok(Outcome::Done);
    }
    Ok(if interrupt::was_requested() { Outcome::Interrupted } else { Outcome::Failed })
}
