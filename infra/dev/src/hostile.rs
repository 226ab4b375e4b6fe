//! `cargo dev hostile`: builds `nsl-hostile` and a worker, and runs the one against the other.

use std::process::Command;

use crate::binaries::{self, Binaries};
use crate::interrupt;
use crate::layout::Layout;
use crate::outcome::Outcome;
use crate::services::{Kind, Service};

/// What attacks, and what is attacked.
static PROGRAMS: [Service; 2] = [
    Service {
        name: "hostile",
        package: "nsl-hostile",
        binary: "nsl-hostile",
        features: &[],
        needs: &[],
        kind: Kind::Service,
    },
    Service {
        name: "worker",
        package: "nsl-enclave-worker",
        binary: "nsl-enclave-worker",
        features: &["development"],
        needs: &[],
        kind: Kind::Worker,
    },
];

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Binaries(#[from] binaries::Error),
    #[error("cannot run nsl-hostile")]
    Run(#[source] std::io::Error),
}

pub(crate) fn run(layout: &Layout, arguments: &Arguments) -> Result<Outcome, Error> {
    let binaries = Binaries::build(layout.root(), &PROGRAMS.iter())?;
    let [hostile, worker] = PROGRAMS.each_ref().map(|program| binaries.path(program.binary));
    let mut command = Command::new(hostile);
    command.arg("--worker").arg(worker);
    if arguments.json {
        command.arg("--json");
    }
    if command.status().map_err(Error::Run)?.success() {
        return Ok(Outcome::Done);
    }
    Ok(if interrupt::was_requested() { Outcome::Interrupted } else { Outcome::Failed })
}
