//! The binary: the service, and the rebuild of its read models.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use nsl_config::ConfigArgs;
use nsl_projections::inventory::{self, InventoryArgs, Wanted};
use nsl_projections::rebuild::command::{self, RebuildArgs};
use nsl_projections::{config, service};
use nsl_telemetry::{Identity, service as telemetry};

const IDENTITY: Identity =
    Identity { name: "nsl-projections", version: env!("CARGO_PKG_VERSION"), defaults: config::DEFAULTS };

/// Follows the event log: read models, the event stream, the price stream, answers to questions
#[derive(Debug, Parser)]
#[command(name = "nsl-projections", version, args_conflicts_with_subcommands = true)]
struct Flags {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    config: ConfigArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service (also without a subcommand)
    Run(ConfigArgs),
    /// Build read models anew from the whole log, and compare them with or put them in place of the live ones
    Rebuild(RebuildArgs),
    /// List the builds of the read models: versions, states, positions
    Builds(InventoryArgs),
    /// Drop the builds that are neither live nor of this program's version
    Prune(InventoryArgs),
}

fn main() -> anyhow::Result<ExitCode> {
    let flags = Flags::parse();
    let runtime = || tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let args = match flags.command {
        None => flags.config,
        Some(Command::Run(args)) => args,
        Some(Command::Rebuild(args)) => return Ok(runtime()?.block_on(command::run(&args))),
        Some(Command::Builds(args)) => return Ok(runtime()?.block_on(inventory::run(Wanted::List, &args))),
        Some(Command::Prune(args)) => return Ok(runtime()?.block_on(inventory::run(Wanted::Prune, &args))),
    };
    Ok(telemetry::run(IDENTITY, &args, service::run))
}
