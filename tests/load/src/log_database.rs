//! The server that the benchmark `log` was given, and a fresh database in it for each of its parts.

use std::str::FromStr as _;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

/// Where the databases are made.
#[derive(Debug, clap::Args)]
pub(crate) struct Server {
    /// A database whose role may create others
    #[arg(long, env = "NSL_LOAD_DATABASE_URL", hide_env_values = true)]
    database_url: String,
}

impl Server {
    /// Makes an empty database, instead of what had the name, and returns its url.
    pub(crate) async fn empty_database(&self, name: &str) -> Result<String, sqlx::Error> {
        let options = PgConnectOptions::from_str(&self.database_url)?;
        let mut session = options.connect().await?;
        for statement in
            [format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"), format!("CREATE DATABASE {name}")]
        {
            sqlx::raw_sql(&statement).execute(&mut session).await?;
        }
        session.close().await?;
        Ok(options.database(name).to_url_lossy().to_string())
    }
}
