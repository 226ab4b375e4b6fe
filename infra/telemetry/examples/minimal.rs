//! The smallest service: what a `main.rs` of ours looks like. The crate's own test runs it as a process.

use std::process::ExitCode;

use clap::Parser;
use nsl_config::ConfigArgs;
use nsl_telemetry::shutdown::TaskError;
use nsl_telemetry::{Context, Identity, ServiceConfig, TelemetryConfig, service};

const IDENTITY: Identity =
    Identity { name: "minimal", version: env!("CARGO_PKG_VERSION"), defaults: include_str!("minimal.toml") };

#[derive(Parser)]
#[command(version)]
struct Flags {
    #[command(flatten)]
    config: ConfigArgs,
}

#[derive(Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    telemetry: TelemetryConfig,
}

impl ServiceConfig for Config {
    fn telemetry(&self) -> &TelemetryConfig {
        &self.telemetry
    }
}

fn main() -> ExitCode {
    service::run(IDENTITY, &Flags::parse().config, |context: Context<Config>| async move {
        context.started();
        context.shutdown.token().cancelled().await;
        Ok::<(), TaskError>(())
    })
}
