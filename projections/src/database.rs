//! The schemas of the read models: the live one, and the shadow in which a rebuild is made. Statements name no schema;
//! the session's search path decides, so that both are written by the same code.

use std::time::Duration;

use nsl_config::Secret;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection};

/// How long a caller waits for a free session before it hears "unavailable".
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the server works on one statement of the service: all are bounded, so only a broken server takes longer.
/// A rebuild reads whole tables, so it has no such bound.
const STATEMENT_TIMEOUT_MS: u32 = 10_000;
/// Held while a schema is made, since two processes that make it at once would make one of them fail. "nslreadm".
const PREPARE_LOCK: i64 = 0x6e73_6c72_6561_646d;
/// Sessions of a rebuild: one writes or reads the shadow, one holds the live snapshot, one for look-ups.
const REBUILD_CONNECTIONS: u32 = 3;

/// Where the tables are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    /// What questions are answered from.
    Live,
    /// What a rebuild makes.
    Shadow,
}

impl Schema {
    /// Its name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Live => "read",
            Self::Shadow => "read_rebuild",
        }
    }
}

/// Why the read models' database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be parsed.
    #[error("read.url is not a valid database url")]
    Url(#[source] sqlx::Error),
    /// The server cannot be reached or does not let us in.
    #[error("database of the read models cannot be reached")]
    Unavailable(#[source] sqlx::Error),
    /// The schema cannot be made or dropped.
    #[error("schema {schema} cannot be made or dropped")]
    Schema {
        /// The schema.
        schema: &'static str,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// A migration failed, or the schema has migrations that this build does not know.
    #[error("migrations of schema {schema} failed")]
    Migration {
        /// The schema.
        schema: &'static str,
        /// Why.
        #[source]
        source: sqlx::migrate::MigrateError,
    },
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

    /// One session on a schema.
    pub async fn session(&self, schema: Schema) -> Result<PgConnection, Error> {
        self.on(schema).connect().await.map_err(Error::Unavailable)
    }

    /// Sessions of the service.
    pub async fn open(&self, schema: Schema, connections: u32) -> Result<PgPool, Error> {
        let settings = [
            ("statement_timeout", STATEMENT_TIMEOUT_MS.to_string()),
            // Rows and checkpoint are lost together or not at all, and the log has them: no commit here need wait for
            // the disk that the log's commits wait for.
            ("synchronous_commit", "off".to_owned()),
        ];
        let options = self.on(schema).options(settings);
        pool(options, connections).await
    }

    /// Sessions of a rebuild.
    pub async fn open_for_rebuild(&self, schema: Schema) -> Result<PgPool, Error> {
        pool(self.on(schema), REBUILD_CONNECTIONS).await
    }

    /// Brings the schema to this build's version; makes it if it is not there.
    pub async fn prepare(&self, schema: Schema) -> Result<(), Error> {
        let failed = move |source| Error::Schema { schema: schema.name(), source };
        let mut session = self.session(schema).await?;
        let lock = sqlx::query("SELECT pg_advisory_lock($1)").bind(PREPARE_LOCK).execute(&mut session);
        lock.await.map_err(failed)?; // given free with the session
        // Asked first: CREATE SCHEMA IF NOT EXISTS needs the right to create even where there is nothing to do.
        let found: bool = sqlx::query_scalar("SELECT to_regnamespace($1) IS NOT NULL")
            .bind(schema.name())
            .fetch_one(&mut session)
            .await
            .map_err(failed)?;
        if !found {
            let create = format!("CREATE SCHEMA IF NOT EXISTS {}", schema.name());
            sqlx::query(&create).execute(&mut session).await.map_err(failed)?;
        }
        // Not `run`: its future is not provably `Send`.
        let migrated = sqlx::migrate!().run_direct(&mut session).await;
        migrated.map_err(|source| Error::Migration { schema: schema.name(), source })?;
        session.close().await.map_err(Error::Unavailable)
    }

    /// Drops the shadow with all that a rebuild left in it.
    pub async fn drop_shadow(&self) -> Result<(), Error> {
        let schema = Schema::Shadow.name();
        let failed = |source| Error::Schema { schema, source };
        let mut session = self.session(Schema::Shadow).await?;
        let drop = format!("DROP SCHEMA IF EXISTS {schema} CASCADE");
        sqlx::query(&drop).execute(&mut session).await.map_err(failed)?;
        session.close().await.map_err(Error::Unavailable)
    }

    fn on(&self, schema: Schema) -> PgConnectOptions {
        self.options.clone().options([("search_path", schema.name())])
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
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| code.starts_with("22") || code.starts_with("23"))
}

/// A position as Postgres holds it; positions come from a bigint column, so none is lost.
pub(crate) fn bigint(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}
