//! Stock postgres-es: `stream_all_events` into the same enum, from its own table with the same events. It has no global
//! position: its order is by each stream's sequence.

use std::hint::black_box;
use std::str::FromStr as _;

use cqrs_es::persist::{PersistedEventRepository as _, PersistenceError};
use nsl_domain::wallet::Wallet;
use postgres_es::PostgresEventRepository;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

/// Sessions of the peer; its replay uses one.
const CONNECTIONS: u32 = 4;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the peer's table cannot be made")]
    Table(#[from] sqlx::Error),
    #[error("the peer's replay failed")]
    Replay(#[from] PersistenceError),
}

/// The repository over a table of its own.
pub(super) struct Stock {
    repository: PostgresEventRepository,
}

impl Stock {
    /// Copies our events into the table that postgres-es' own db/init.sql makes.
    pub(super) async fn open(url: &str) -> Result<Self, Error> {
        const SCHEMA: [&str; 4] = [
            "CREATE SCHEMA peer",
            "CREATE TABLE peer.events (
                aggregate_type text NOT NULL, aggregate_id text NOT NULL,
                sequence bigint CHECK (sequence >= 0) NOT NULL, event_type text NOT NULL,
                event_version text NOT NULL, payload json NOT NULL, metadata json NOT NULL,
                PRIMARY KEY (aggregate_type, aggregate_id, sequence))",
            "INSERT INTO peer.events SELECT aggregate_type, aggregate_id, sequence, event_type, event_version, payload,
                metadata FROM public.events",
            "VACUUM ANALYZE peer.events",
        ];
        let options = PgConnectOptions::from_str(url)?.options([("search_path", "peer")]);
        let pool: PgPool = PgPoolOptions::new().max_connections(CONNECTIONS).connect_with(options).await?;
        for statement in SCHEMA {
            sqlx::query(statement).execute(&pool).await?;
        }
        Ok(Self { repository: PostgresEventRepository::new(pool) })
    }

    /// Reads all events into the enum; answers how many they were.
    pub(super) async fn replay(&self) -> Result<u64, Error> {
        let mut events = self.repository.stream_all_events::<Wallet>().await?;
        let mut count = 0;
        while let Some(event) = events.next::<Wallet>(&[]).await {
            black_box(event?);
            count += 1;
        }
        Ok(count)
    }
}
