//! The limit: one writer that inserts 500 rows of the events' size a transaction into a table like postgres-es'. No
//! position, no version check, no receipt, no envelope.

use std::time::{Duration, Instant};

use sqlx::PgPool;

use super::text;
use crate::closed_loop::per_second;

/// What it is called.
pub(crate) const NAME: &str = "bare UNNEST insert, 1 writer, 500 rows a transaction";
/// Rows of one statement.
const ROWS: usize = 500;
/// Long enough for a hundred commits of the slowest disk.
const DURATION: Duration = Duration::from_secs(1);

/// One writer with its table.
pub(crate) struct Limit {
    pool: PgPool,
}

impl Limit {
    /// Makes the table.
    pub(crate) async fn open(url: &str) -> Result<Self, sqlx::Error> {
        const TABLE: &str = "CREATE TABLE bare (
            aggregate_type text NOT NULL, aggregate_id text NOT NULL, sequence bigint NOT NULL,
            event_type text NOT NULL, event_version text NOT NULL, payload json NOT NULL, metadata json NOT NULL,
            PRIMARY KEY (aggregate_type, aggregate_id, sequence))";
        let pool = PgPool::connect(url).await?;
        sqlx::query(TABLE).execute(&pool).await?;
        Ok(Self { pool })
    }

    /// Rows a second.
    pub(crate) async fn run(&self) -> Result<u64, sqlx::Error> {
        const INSERT: &str = "INSERT INTO bare SELECT 'account', u.id, u.sequence, 'deposited', '1.0.0', \
            u.payload::json, u.metadata::json \
            FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[]) AS u(id, sequence, payload, metadata)";
        sqlx::query("TRUNCATE bare").execute(&self.pool).await?;
        let ids: Vec<String> = (0..ROWS).map(|row| format!("load.{row}")).collect();
        let payloads = vec![format!(r#"{{"amount":"5","text":"{}"}}"#, text()); ROWS];
        let metadata = vec![r#"{"issuer":"benchmark"}"#; ROWS];
        let mut connection = self.pool.acquire().await?;
        let (started, mut sequence) = (Instant::now(), 0_i64);
        while started.elapsed() < DURATION {
            sequence += 1;
            sqlx::query(INSERT)
                .bind(&ids)
                .bind(vec![sequence; ROWS])
                .bind(&payloads)
                .bind(&metadata)
                .execute(&mut *connection)
                .await?;
        }
        Ok(per_second(u64::try_from(sequence).unwrap_or(0) * ROWS as u64, started.elapsed()))
    }
}
