//! The life of the log's partitions, as the role that owns the tables may direct it.

use std::time::Duration;

use serde::Serialize;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _, FromRow};

/// How long the detaching waits for the readers of the log. The appends wait behind it, so it is short, and tried again.
const LOCK_TIMEOUT: Duration = Duration::from_millis(500);
/// How often it is tried: about a minute.
const LOCK_ATTEMPTS: u32 = 40;
/// The pause in between, in which appends and readers go on.
const LOCK_PAUSE: Duration = Duration::from_secs(1);
/// SQLSTATE of a lock that was not had in time.
const LOCK_NOT_AVAILABLE: &str = "55P03";
/// Streams that are named as examples: one is a hint, hundreds are the same hint.
const STREAMS_SHOWN: usize = 5;

/// Why a partition's life does not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database's address cannot be parsed.
    #[error("database url is not valid")]
    Url(#[source] sqlx::Error),
    /// The database does not do it.
    #[error("{operation} failed")]
    Database {
        /// What was tried.
        operation: &'static str,
        /// What went wrong.
        #[source]
        source: sqlx::Error,
    },
}

/// Where a partition is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, sqlx::Type)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum State {
    /// Events are or will be appended to it.
    Open,
    /// The head is beyond it.
    Sealed,
    /// A whole archive of it was read back.
    Archived,
    /// It is no part of the log any more, but its tables are there.
    Detached,
    /// Only the archive is left.
    Dropped,
}

/// A partition of the log.
#[derive(Clone, Debug, PartialEq, Eq, FromRow, Serialize)]
pub struct Partition {
    /// Its first position.
    #[sqlx(try_from = "i64")]
    pub first_position: u64,
    /// The position after its last.
    #[sqlx(try_from = "i64")]
    pub end_position: u64,
    /// Where it is in its life.
    pub state: State,
    /// The name of its archive.
    pub archive_file: Option<String>,
    /// The SHA-256 of its archive, in hex.
    pub archive_sha256: Option<String>,
}

/// Directs partitions over one session of the tables' owner.
#[derive(Debug)]
pub struct Partitions {
    session: PgConnection,
}

impl Partitions {
    /// Logs in.
    pub async fn connect(url: &str) -> Result<Self, Error> {
        let options: PgConnectOptions = url.parse().map_err(Error::Url)?;
        let options = options.options([("lock_timeout", LOCK_TIMEOUT.as_millis().to_string())]);
        let failed = database("logging in");
        Ok(Self { session: options.connect().await.map_err(failed)? })
    }

    /// All partitions, in order.
    pub async fn list(&mut self) -> Result<Vec<Partition>, Error> {
        const LIST: &str = "SELECT first_position, end_position, state, archive_file,
            encode(archive_sha256, 'hex') AS archive_sha256 FROM log_partitions ORDER BY first_position";
        let failed = database("listing the partitions");
        sqlx::query_as(LIST).fetch_all(&mut self.session).await.map_err(failed)
    }

    /// Seals the partitions that the head has passed.
    pub async fn seal(&mut self) -> Result<(), Error> {
        self.execute("SELECT seal_log_partitions()", "sealing partitions").await
    }

    /// Remembers a partition's archive, which was read back and found whole.
    pub async fn archived(
        &mut self,
        first_position: u64,
        file: &str,
        sha256: [u8; 32],
        events: u64,
    ) -> Result<(), Error> {
        let query = sqlx::query("SELECT record_log_archive($1, $2, $3, $4)")
            .bind(number(first_position))
            .bind(file)
            .bind(sha256)
            .bind(number(events));
        query.execute(&mut self.session).await.map(drop).map_err(database("recording an archive"))
    }

    /// How many streams could not be loaded without the partition, and some of them.
    pub async fn needing(&mut self, first_position: u64) -> Result<(u64, Vec<String>), Error> {
        const NEEDING: &str =
            "SELECT aggregate_type || ' ' || aggregate_id AS stream, count(*) OVER () AS streams
            FROM streams_needing_partition($1) ORDER BY 1 LIMIT $2";
        let query = sqlx::query_as(NEEDING).bind(number(first_position)).bind(number(STREAMS_SHOWN as u64));
        let rows: Vec<(String, i64)> = query
            .fetch_all(&mut self.session)
            .await
            .map_err(database("looking for the partition's streams"))?;
        let streams = rows.first().map_or(0, |(_, streams)| u64::try_from(*streams).unwrap_or(0));
        Ok((streams, rows.into_iter().map(|(stream, _)| stream).collect()))
    }

    /// Takes the log's first partition, archived, out of it.
    pub async fn detach(&mut self, first_position: u64) -> Result<(), Error> {
        self.locking("SELECT detach_log_partition($1)", first_position, "detaching a partition").await
    }

    /// Puts the partition that was detached last back.
    pub async fn attach(&mut self, first_position: u64) -> Result<(), Error> {
        self.locking("SELECT attach_log_partition($1)", first_position, "attaching a partition").await
    }

    /// Removes a detached partition's tables for good.
    pub async fn drop(&mut self, first_position: u64) -> Result<(), Error> {
        self.locking("SELECT drop_log_partition($1)", first_position, "dropping a partition").await
    }

    async fn execute(&mut self, statement: &str, operation: &'static str) -> Result<(), Error> {
        sqlx::query(statement).execute(&mut self.session).await.map(drop).map_err(database(operation))
    }

    /// Runs what must have the tables for itself, between others' statements.
    async fn locking(
        &mut self,
        statement: &str,
        first_position: u64,
        operation: &'static str,
    ) -> Result<(), Error> {
        let mut attempt = 1;
        loop {
            let query = sqlx::query(statement).bind(number(first_position));
            match query.execute(&mut self.session).await {
                Ok(_) => return Ok(()),
                Err(error) if attempt < LOCK_ATTEMPTS && is_lock_timeout(&error) => {
                    tokio::time::sleep(LOCK_PAUSE).await;
                    attempt += 1;
                }
                Err(source) => return Err(Error::Database { operation, source }),
            }
        }
    }

    /// Logs out.
    pub async fn close(self) {
        // The server ends the session of a client that is gone anyway.
        let _ = self.session.close().await;
    }
}

fn is_lock_timeout(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| code == LOCK_NOT_AVAILABLE)
}

fn database(operation: &'static str) -> impl Fn(sqlx::Error) -> Error {
    move |source| Error::Database { operation, source }
}

/// Positions and counts are far below an `i64`'s bound; one beyond it is no partition's.
fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
