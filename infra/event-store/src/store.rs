//! The store of a process that appends: a reader and the sessions for appends.

use std::ops::Deref;

use sqlx::postgres::{PgPool, PgPoolOptions};
use tokio::sync::watch;

use crate::partitions::PartitionFrontier;
use crate::reader::EventReader;
use crate::session::{ConnectError, Purpose, is_read_only, open_pool};
use crate::snapshot::SnapshotWriter;

/// How many sessions a store keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Sessions for appends, leases and snapshots. The head lock orders appends anyway: of two one commits, and the
    /// other is ready at the lock. The others are for what must not wait behind them.
    pub append_connections: u32,
    /// Sessions for reads.
    pub read_connections: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { append_connections: 4, read_connections: 4 }
    }
}

/// Why the migrations could not be run.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The server cannot be reached or does not let us in.
    #[error("database cannot be reached")]
    Unavailable(#[source] sqlx::Error),
    /// The server takes no writes.
    #[error("database server is read-only, perhaps a standby; the address must lead to the primary")]
    ReadOnly,
    /// A migration failed, or the database has migrations that this build does not know.
    #[error("event log migrations failed")]
    Migration(#[source] sqlx::migrate::MigrateError),
}

/// The write side's store. It reads all that an [`EventReader`] reads, and appends.
#[derive(Clone, Debug)]
pub struct EventStore {
    reader: EventReader,
    pub(crate) appender: PgPool,
    pub(crate) partitions: PartitionFrontier,
    pub(crate) snapshots: SnapshotWriter,
    head: watch::Sender<u64>,
}

impl EventStore {
    /// Brings the database's event log to this build's version. The url's role owns the tables afterwards.
    pub async fn migrate(url: &str) -> Result<(), MigrateError> {
        let pool =
            PgPoolOptions::new().max_connections(1).connect(url).await.map_err(MigrateError::Unavailable)?;
        let migrated = match is_read_only(&pool).await {
            Ok(false) => sqlx::migrate!().run(&pool).await.map_err(MigrateError::Migration),
            Ok(true) => Err(MigrateError::ReadOnly),
            Err(error) => Err(MigrateError::Unavailable(error)),
        };
        pool.close().await;
        migrated
    }

    /// Opens a migrated log for appending; the url's role is a member of `nsl_writer` (or owns the tables).
    pub async fn connect(url: &str, options: Options) -> Result<Self, ConnectError> {
        let appender = open_pool(url, Purpose::Append, options.append_connections).await?;
        let reader = EventReader::connect(url, options.read_connections).await?;
        let partitions = PartitionFrontier::default();
        let head: i64 = sqlx::query_scalar("SELECT position FROM log_head WHERE log_id = 1")
            .fetch_one(&appender)
            .await
            .map_err(ConnectError::Unavailable)?;
        let head = u64::try_from(head).unwrap_or(0); // a CHECK keeps it from being negative
        let mut connection = appender.acquire().await.map_err(ConnectError::Unavailable)?;
        partitions.keep_ahead(&mut connection, head).await.map_err(ConnectError::Partitions)?;
        drop(connection);
        let snapshots = SnapshotWriter::start(appender.clone());
        Ok(Self { reader, appender, partitions, snapshots, head: watch::Sender::new(head) })
    }

    /// The reading half, for those who may not append.
    pub fn reader(&self) -> &EventReader {
        &self.reader
    }

    /// Tells of each new head that this store's appends made; what wakes this process' subscriptions.
    pub fn head_changes(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }

    pub(crate) fn head_moved(&self, head: u64) {
        self.head.send_if_modified(|known| {
            let moved = *known < head;
            *known = (*known).max(head);
            moved
        });
    }
}

impl Deref for EventStore {
    type Target = EventReader;

    fn deref(&self) -> &EventReader {
        &self.reader
    }
}
