//! `nsl-commands`: the command processor and reactor.

use std::process::ExitCode;

use clap::Parser;
use nsl_config::ConfigArgs;
use nsl_telemetry::service::{self, Identity};

/// Turns commands into events and events into jobs.
#[derive(Debug, Parser)]
#[command(name = "nsl-commands", version)]
struct Arguments {
    #[command(flatten)]
    config: ConfigArgs,
}

fn main() -> ExitCode {
    let identity = Identity {
        name: "nsl-commands",
        version: env!("CARGO_PKG_VERSION"),
        defaults: include_str!("../default.toml"),
    };
    service::run(identity, &Arguments::parse().config, nsl_commands::run)
}
