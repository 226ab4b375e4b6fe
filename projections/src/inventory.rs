//! `nsl-projections builds` and `nsl-projections prune`: which builds of the read models there are, and dropping those
//! that nobody needs any more.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line speaks on stdout and stderr")]

use std::process::ExitCode;

use nsl_config::ConfigArgs;
use nsl_telemetry::service::{EXIT_FAILED, EXIT_USAGE};
use serde::Serialize;
use sqlx::Connection;
use sqlx::postgres::PgConnection;

use crate::builds;
use crate::config::{Config, DEFAULTS};
use crate::database::{self, Database};
use crate::fault::described;
use crate::read_model;

/// List the builds, or drop the ones of other versions
#[derive(Debug, Clone, clap::Args)]
pub struct InventoryArgs {
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
    /// As for the service
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// What is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Show every build.
    List,
    /// Drop builds that are neither live nor of this program's version, and show them.
    Prune,
}

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
enum Error {
    /// The database of the read models cannot be used.
    #[error(transparent)]
    Database(#[from] database::Error),
    /// The list cannot be read or changed.
    #[error("list of builds cannot be read or changed")]
    List(#[from] sqlx::Error),
}

/// A build as it is shown.
#[derive(Debug, Serialize, sqlx::FromRow)]
struct Listed {
    model: String,
    version: i32,
    state: String,
    position: i64,
    live: bool,
    error: Option<String>,
}

impl Listed {
    fn is_of_this_program(&self) -> bool {
        let version = u32::try_from(self.version).unwrap_or(0);
        read_model::ALL.iter().any(|model| model.name == self.model && model.version == version)
    }
}

/// Runs the command and gives its exit code.
pub async fn run(wanted: Wanted, args: &InventoryArgs) -> ExitCode {
    let config = match nsl_config::load::<Config>(DEFAULTS, &args.config, std::env::vars_os()) {
        Ok(loaded) => loaded.config,
        Err(error) => {
            eprintln!("nsl-projections: {}", described(&error));
            return ExitCode::from(EXIT_USAGE);
        }
    };
    match inventory(wanted, &config).await {
        Ok(shown) => {
            for build in shown {
                show(&build, args.json);
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("nsl-projections: {}", described(&error));
            ExitCode::from(EXIT_FAILED)
        }
    }
}

async fn inventory(wanted: Wanted, config: &Config) -> Result<Vec<Listed>, Error> {
    let database = Database::new(&config.read.url)?;
    database.prepare().await?;
    let mut session = database.session().await?;
    let mut found: Vec<Listed> = sqlx::query_as(
        "SELECT model, version, state, position, live, error FROM read.builds ORDER BY model, version, state",
    )
    .fetch_all(&mut session)
    .await?;
    if wanted == Wanted::Prune {
        found.retain(|build| !build.live && !build.is_of_this_program());
        for build in &found {
            drop_build(&mut session, build).await?;
        }
    }
    Ok(found)
}

async fn drop_build(session: &mut PgConnection, build: &Listed) -> Result<(), sqlx::Error> {
    let served = builds::served_schema(&build.model, u32::try_from(build.version).unwrap_or(0));
    let schema = if build.state == "served" { served } else { format!("{served}_{}", build.state) };
    let mut transaction = session.begin().await?;
    // A switch that made it live meanwhile is seen here.
    let deleted =
        sqlx::query("DELETE FROM read.builds WHERE model = $1 AND version = $2 AND state = $3 AND NOT live")
            .bind(&build.model)
            .bind(build.version)
            .bind(&build.state)
            .execute(&mut *transaction)
            .await?;
    if deleted.rows_affected() > 0 {
        sqlx::query(&format!("DROP SCHEMA IF EXISTS {schema} CASCADE")).execute(&mut *transaction).await?;
    }
    transaction.commit().await
}

fn show(build: &Listed, json: bool) {
    if json {
        println!("{}", serde_json::to_string(build).expect("a build has string keys"));
        return;
    }
    let Listed { model, version, state, position, live, error } = build;
    let live = if *live { ", live" } else { "" };
    let error = error.as_ref().map_or_else(String::new, |error| format!(", stopped: {error}"));
    println!("{model} version {version}: {state}{live}, at position {position}{error}");
}
