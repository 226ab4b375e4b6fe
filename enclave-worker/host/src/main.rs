//! `nsl-enclave-host`: see `--print-config` for what can be set.

use std::process::ExitCode;

use clap::Parser;
use nsl_config::ConfigArgs;
use nsl_enclave_host::{Config, config};
use nsl_telemetry::{Identity, service};

const IDENTITY: Identity =
    Identity { name: "nsl-enclave-host", version: env!("CARGO_PKG_VERSION"), defaults: config::DEFAULTS };

/// Takes jobs to attested enclave workers and reports what became of them.
#[derive(Debug, Parser)]
#[command(version)]
struct Flags {
    #[command(flatten)]
    config: ConfigArgs,
}

fn main() -> ExitCode {
    let arguments = Flags::parse().config;
    let again = arguments.clone();
    let reload = move || {
        let loaded = nsl_config::load::<Config>(config::DEFAULTS, &again, std::env::vars_os())?;
        Ok(loaded.config.pool)
    };
    service::run(IDENTITY, &arguments, |context| nsl_enclave_host::run(context, Box::new(reload)))
}
