//! How the store's sessions are set up, and the refusal of a server that would not keep what it acknowledges.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgExecutor, PgPool, PgPoolOptions};
use sqlx::{Connection, Row};

/// Oldest server the migrations and queries are made for.
const OLDEST_SERVER_VERSION: i32 = 150_000;
/// How long the server works on one statement: all are bounded, so only a broken server takes longer. It also bounds
/// how long an append can stay under way after its connection broke.
const STATEMENT_TIMEOUT_MS: u32 = 10_000;
/// How long a reply is waited for: above the server's own bound, so that it has given up by then.
const REPLY_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a caller waits for a free connection before it hears "unavailable".
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection that rested longer is probed before use; a busy one is not, as a probe is a round trip.
const PROBE_AFTER_IDLE: Duration = Duration::from_secs(1);
/// `read_only_sql_transaction`.
const READ_ONLY: &str = "25006";

/// Why no store could be opened.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address cannot be parsed.
    #[error("database url is not valid")]
    Url(#[source] sqlx::Error),
    /// The server cannot be reached or does not let us in.
    #[error("database cannot be reached")]
    Unavailable(#[source] sqlx::Error),
    /// The server is too old.
    #[error("database server version {found} is older than {OLDEST_SERVER_VERSION}")]
    TooOld {
        /// The server's `server_version_num`.
        found: i32,
    },
    /// The server would lose acknowledged commits in a crash.
    #[error("database setting {setting} is off, so acknowledged commits could be lost; turn it on")]
    NotDurable {
        /// The setting's name.
        setting: &'static str,
    },
    /// The server takes no writes.
    #[error("database server is read-only, perhaps a standby; the address must lead to the primary")]
    ReadOnly,
    /// The database has no event log.
    #[error("database has no event log; run the migrations first")]
    NotMigrated,
    /// The partitions ahead of the head could not be made.
    #[error("partitions of the event log cannot be made")]
    Partitions(#[source] sqlx::Error),
}

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Append,
    Read,
}

impl Purpose {
    /// Session settings. Appends: look-ups are index probes whatever the statistics say (see 0006_fast_append.sql), so
    /// one cached plan fits every batch. Reads may not write, whatever the role is allowed.
    fn settings(self) -> Vec<(&'static str, String)> {
        let own: &[_] = match self {
            Self::Append => &[
                ("plan_cache_mode", "force_generic_plan"),
                ("enable_hashjoin", "off"),
                ("enable_mergejoin", "off"),
            ],
            Self::Read => &[("default_transaction_read_only", "on")],
        };
        let all = [
            ("jit", "off".to_owned()),
            ("enable_seqscan", "off".to_owned()),
            // Every statement touches a bounded page: starting a worker costs more than the page.
            ("max_parallel_workers_per_gather", "0".to_owned()),
            ("statement_timeout", STATEMENT_TIMEOUT_MS.to_string()),
        ];
        all.into_iter().chain(own.iter().map(|(name, value)| (*name, (*value).to_owned()))).collect()
    }
}

/// Opens a pool of sessions and checks the server behind it.
pub(crate) async fn open_pool(url: &str, purpose: Purpose, connections: u32) -> Result<PgPool, ConnectError> {
    let options: PgConnectOptions = url.parse().map_err(ConnectError::Url)?;
    let options = options.options(purpose.settings());
    let pool = PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .before_acquire(move |connection, resting| {
            Box::pin(async move {
                if resting.idle_for <= PROBE_AFTER_IDLE {
                    return Ok(true);
                }
                match purpose {
                    // The primary may be another server by now; what is left of the old one is closed.
                    Purpose::Append => Ok(!is_read_only(&mut *connection).await?),
                    Purpose::Read => connection.ping().await.map(|()| true),
                }
            })
        })
        .connect_with(options)
        .await
        .map_err(ConnectError::Unavailable)?;
    check_server(&pool).await?;
    if purpose == Purpose::Append && is_read_only(&pool).await.map_err(ConnectError::Unavailable)? {
        return Err(ConnectError::ReadOnly);
    }
    Ok(pool)
}

/// Whether the server takes no writes: a standby, or a primary that is set so.
pub(crate) async fn is_read_only<'a>(server: impl PgExecutor<'a>) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT current_setting('transaction_read_only')::boolean").fetch_one(server).await
}

/// Whether the server refused a write because it takes none.
pub(crate) fn is_read_only_refusal(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.code().as_deref() == Some(READ_ONLY))
}

async fn check_server(pool: &PgPool) -> Result<(), ConnectError> {
    const SERVER: &str = "SELECT current_setting('server_version_num')::integer, \
         current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_commit'), \
         to_regclass('public.log_head') IS NOT NULL";
    let row = sqlx::query(SERVER).fetch_one(pool).await.map_err(ConnectError::Unavailable)?;
    let found: i32 = row.try_get(0).map_err(ConnectError::Unavailable)?;
    if found < OLDEST_SERVER_VERSION {
        return Err(ConnectError::TooOld { found });
    }
    for (index, setting) in [(1, "fsync"), (2, "full_page_writes"), (3, "synchronous_commit")] {
        let value: String = row.try_get(index).map_err(ConnectError::Unavailable)?;
        if value == "off" {
            return Err(ConnectError::NotDurable { setting });
        }
    }
    let migrated: bool = row.try_get(4).map_err(ConnectError::Unavailable)?;
    if migrated { Ok(()) } else { Err(ConnectError::NotMigrated) }
}

/// Waits for a reply as long as one can come; a network that swallows packets would keep us for ever.
pub(crate) async fn answer<T>(query: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    let reply = tokio::time::timeout(REPLY_TIMEOUT, query).await;
    reply.unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())))
}
