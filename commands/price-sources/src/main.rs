//! The service `nsl-price-sources`.

use std::process::ExitCode;

use clap::Parser;
use nsl_config::ConfigArgs;
use nsl_price_sources::{config, service};
use nsl_telemetry::Identity;

/// Asks venues for prices, publishes their observations, proposes price rounds.
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
