//! `nsl-load`: puts load on a running system and measures it. `cargo dev bench` starts the system and runs this.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line program talks on them")]

mod closed_loop;
mod commands;
mod enclave;
mod exchange;
mod group_commit;
mod log_append;
mod log_database;
mod log_replay;
mod open_wallets;
mod quiet;
mod report;
mod stock;
mod workload;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use nsl_schemas::nkey::SigningKey;
use nsl_schemas::token::Tenant;

use crate::exchange::{Connection, Exchange};
use crate::workload::Workload;

/// The services' own, so that the peers which are called in this process have it too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures a running system.
#[derive(Parser)]
#[command(name = "nsl-load", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// Where the system is and who commands it.
#[derive(Args)]
struct System {
    /// The bus
    #[arg(long, env = "NSL_LOAD_NATS_URL")]
    nats_url: String,
    /// User of the bus
    #[arg(long, env = "NSL_LOAD_NATS_USER")]
    nats_user: String,
    /// Its password
    #[arg(long, env = "NSL_LOAD_NATS_PASSWORD", hide_env_values = true)]
    nats_password: String,
    /// The database of the log: read, and given a schema of its own for the peer
    #[arg(long, env = "NSL_LOAD_DATABASE_URL", hide_env_values = true)]
    database_url: String,
    /// The signed genesis manifest
    #[arg(long, env = "NSL_LOAD_GENESIS")]
    genesis: PathBuf,
    /// Seed file of the key that signs the commands
    #[arg(long, env = "NSL_LOAD_ISSUER_SEED")]
    issuer_seed: PathBuf,
    /// Whose wallets
    #[arg(long, env = "NSL_LOAD_TENANT")]
    tenant: String,
}

#[derive(Subcommand)]
enum Command {
    /// Create the wallets that the benchmark works on, and wait until their keys are born
    OpenWallets {
        #[command(flatten)]
        system: System,
    },
    /// Measure commands from publish to result, beside stock cqrs-es and a bare group commit
    Commands {
        #[command(flatten)]
        system: System,
        #[command(flatten)]
        arguments: commands::Arguments,
    },
    /// Measure appends to the event log, beside other event stores and a bare insert
    LogAppend(log_append::Arguments),
    /// Measure replays of the event log, beside stock postgres-es, copying and parsing alone
    LogReplay(log_replay::Arguments),
    /// Measure signing jobs through the channel to worker processes, beside the same primitives in a bare loop
    Enclave(enclave::Arguments),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::OpenWallets { system } => {
            let Connected { workload, exchange, database } = Connected::new(&system).await?;
            open_wallets::run(&workload, exchange, &database).await?;
        }
        Command::Commands { system, arguments } => {
            let Connected { workload, exchange, database } = Connected::new(&system).await?;
            let genesis = std::fs::read(&system.genesis).context("cannot read the genesis manifest")?;
            let parts =
                commands::Parts { workload, exchange, database, database_url: system.database_url, genesis };
            commands::run(&arguments, parts).await?;
        }
        Command::LogAppend(arguments) => log_append::run(&arguments).await?,
        Command::LogReplay(arguments) => log_replay::run(&arguments).await?,
        // On threads and runtimes of its own, each on its core.
        Command::Enclave(arguments) => tokio::task::block_in_place(|| enclave::run(&arguments))?,
    }
    Ok(())
}

/// What reaches the running system.
struct Connected {
    workload: Workload,
    exchange: Arc<Exchange>,
    database: sqlx::PgPool,
}

impl Connected {
    async fn new(system: &System) -> anyhow::Result<Self> {
        let tenant = Tenant::parse(&system.tenant)?;
        let seed = std::fs::read_to_string(&system.issuer_seed).context("cannot read the issuer's seed")?;
        let workload = Workload::new(tenant.clone(), SigningKey::parse_seed(&seed)?)?;
        let connection = Connection {
            url: system.nats_url.clone(),
            user: system.nats_user.clone(),
            password: system.nats_password.clone(),
        };
        let exchange = Arc::new(Exchange::connect(&connection, &tenant).await?);
        let database =
            sqlx::PgPool::connect(&system.database_url).await.context("cannot reach the database")?;
        Ok(Self { workload, exchange, database })
    }
}
