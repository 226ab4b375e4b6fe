//! The service `nsl-chain-relay`.

use std::process::ExitCode;

use clap::Parser;
use nsl_chain_relay::{config, service};
use nsl_config::ConfigArgs;
use nsl_telemetry::Identity;

/// Gets signed transactions into blocks, reports what became of them, answers questions about the chain.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    config: ConfigArgs,
}

fn main() -> ExitCode {
    let identity = Identity {
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        defaults: config::DEFAULTS,
    };
    nsl_telemetry::service::run(identity, &Arguments::parse().config, service::run)
}
