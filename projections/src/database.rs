//! The database of the read models: schema `read` with the list of builds, and a schema for each build. Statements name no
//! schema of a build; the search path decides, so that every build is read and written by the same code.

use std::time::Duration;

use nsl_config::Secret;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection};

use crate::builds;
use crate::read_model::Definition;

/// The schema with the list of builds.
pub const SCHEMA: &str = "read";
/// How long a caller waits for a free session before it hears "unavailable".
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the server works on one statement of the service: all are bounded, so only a broken server takes longer.
/// A build makes indexes and reads whole tables, so it has no such bound.
const STATEMENT_TIMEOUT_MS: u32 = 10_000;
/// Held while the schema is made, since two processes that make it at once would make one of them fail. "nslreadm".
const PREPARE_LOCK: i64 = 0x6e73_6c72_6561_646d;
/// Sessions of each read model's build: one writes, one reads what is served.
const BUILD_CONNECTIONS: u32 = 2;

/// Why the read models' database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be parsed.
    #[error("read.url is not a valid database url")]
    Url(#[source] sqlx::Error),
    /// The server cannot be reached or does not let us in.
    #[error("database of the read models cannot be reached")]
    Unavailable(#[source] sqlx::Error),
    /// The schema cannot be made.
    #[error("schema {SCHEMA} cannot be made")]
    Schema(#[source] sqlx::Error),
    /// A migration failed, or the schema has migrations that this build does not know.
    #[error("migrations of schema {SCHEMA} failed")]
    Migration(#[source] sqlx::migrate::MigrateError),
}

/// The database of the read models, not yet connected to.
#[derive(Debug, Clone)]
pub struct Database {
    options: PgConnectOptions,
}

impl Database {
    /// Checks the address.
    pub fn new(url: &Secret) -> Result<Self, Error> {
        Ok(Self { options: url.expose().parse().map_err(Error::Url)? })
    }

    /// One session.
    pub async fn session(&self) -> Result<PgConnection, Error> {
        self.on(SCHEMA).connect().await.map_err(Error::Unavailable)
    }

    /// Sessions that see the tables of these read models: each in this process' version once it is served, and in the
    /// version that is live now until then.
    pub async fn open(&self, models: &[&Definition], connections: u32) -> Result<PgPool, Error> {
        let mut session = self.session().await?;
        let path = builds::search_path(&mut session, models).await.map_err(Error::Unavailable)?;
        session.close().await.map_err(Error::Unavailable)?;
        let timeout = [("statement_timeout", STATEMENT_TIMEOUT_MS.to_string())];
        pool(self.on(&path).options(timeout), connections).await
    }

    /// Sessions of a build.
    pub async fn open_for_build(&self) -> Result<PgPool, Error> {
        pool(self.on(SCHEMA), BUILD_CONNECTIONS).await
    }

    /// Brings schema `read` to this program's state; makes it if it is not there.
    pub async fn prepare(&self) -> Result<(), Error> {
        let mut session = self.session().await?;
        let lock = sqlx::query("SELECT pg_advisory_lock($1)").bind(PREPARE_LOCK).execute(&mut session);
        lock.await.map_err(Error::Schema)?; // given free with the session
        // Asked first: CREATE SCHEMA IF NOT EXISTS needs the right to create even where there is nothing to do.
        let found: bool = sqlx::query_scalar("SELECT to_regnamespace($1) IS NOT NULL")
            .bind(SCHEMA)
            .fetch_one(&mut session)
            .await
            .map_err(Error::Schema)?;
        if !found {
            let create = format!("CREATE SCHEMA IF NOT EXISTS {SCHEMA}");
            sqlx::query(&create).execute(&mut session).await.map_err(Error::Schema)?;
        }
        // Not `run`: its future is not provably `Send`.
        sqlx::migrate!().run_direct(&mut session).await.map_err(Error::Migration)?;
        session.close().await.map_err(Error::Unavailable)
    }

    fn on(&self, search_path: &str) -> PgConnectOptions {
        let settings = [
            ("search_path", search_path),
            // Rows and checkpoint are lost together or not at all, and the log has them: no commit here need wait for
            // the disk that the log's commits wait for.
            ("synchronous_commit", "off"),
        ];
        // A notice for each IF EXISTS that finds nothing tells nobody anything.
        self.options.clone().options(settings).options([("client_min_messages", "warning")])
    }
}

async fn pool(options: PgConnectOptions, connections: u32) -> Result<PgPool, Error> {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_with(options)
        .await
        .map_err(Error::Unavailable)
}

/// Whether the database refused the data itself, so that trying again would fail again (SQLSTATE classes 22 and 23).
pub(crate) fn refuses_data(error: &sqlx::Error) -> bool {
    code(error).is_some_and(|code| code.starts_with("22") || code.starts_with("23"))
}

/// Whether the row is there already.
pub(crate) fn is_repeat(error: &sqlx::Error) -> bool {
    code(error).is_some_and(|code| code == "23505")
}

/// Whether the table is not there: its read model was not built yet.
pub(crate) fn lacks_table(error: &sqlx::Error) -> bool {
    code(error).is_some_and(|code| code == "42P01")
}

fn code(error: &sqlx::Error) -> Option<std::borrow::Cow<'_, str>> {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code)
}

/// A position as Postgres holds it; positions come from a bigint column, so none is lost.
pub(crate) fn bigint(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}
