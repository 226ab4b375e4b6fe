//! The limit: a bare group commit. One writer inserts so many rows of a transfer event's size at once and commits, with
//! no bus, no signature, no decision, no receipt and no gapless position.

use std::time::{Duration, Instant};

use sqlx::PgPool;

use crate::closed_loop::per_second;

/// Rows of one statement at most; beyond it the rate no longer grows much.
const ROWS_MAX: usize = 256;
/// Long enough for a hundred commits of the slowest disk.
const DURATION: Duration = Duration::from_secs(1);

/// What the limit is called, with `clients` in flight.
pub(crate) fn name(clients: usize) -> String {
    format!("bare group commit, 1 writer, UNNEST of {} rows", rows(clients))
}

/// Makes the table, as postgres-es makes its own.
pub(crate) async fn prepare(database: &PgPool) -> Result<(), sqlx::Error> {
    const TABLE: &str = "CREATE TABLE peer.group_commit (
        aggregate_type text NOT NULL, aggregate_id text NOT NULL, sequence bigint NOT NULL, event_type text NOT NULL,
        event_version text NOT NULL, payload json NOT NULL, metadata json NOT NULL,
        PRIMARY KEY (aggregate_type, aggregate_id, sequence))";
    sqlx::query(TABLE).execute(database).await.map(drop)
}

/// Rows a second, one writer.
pub(crate) async fn run(database: &PgPool, clients: usize) -> Result<u64, sqlx::Error> {
    const INSERT: &str = "INSERT INTO peer.group_commit SELECT 'wallet', u.id, u.sequence, 'transfer-requested', \
        '1.0.0', u.payload::json, u.metadata::json FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[]) \
        AS u(id, sequence, payload, metadata)";
    let (payload, metadata): (String, String) = sqlx::query_as(
        "SELECT payload::text, metadata::text FROM events WHERE event_type = 'transfer-requested' LIMIT 1",
    )
    .fetch_one(database)
    .await?;
    sqlx::query("TRUNCATE peer.group_commit").execute(database).await?;
    let rows = rows(clients);
    let ids: Vec<String> = (0..rows).map(|row| format!("load.load-{row}")).collect();
    let (payloads, metadata) = (vec![payload; rows], vec![metadata; rows]);
    let mut connection = database.acquire().await?;
    let (started, mut sequence, mut count) = (Instant::now(), 0_i64, 0_u64);
    while started.elapsed() < DURATION {
        sequence += 1;
        sqlx::query(INSERT)
            .bind(&ids)
            .bind(vec![sequence; rows])
            .bind(&payloads)
            .bind(&metadata)
            .execute(&mut *connection)
            .await?;
        count += rows as u64;
    }
    Ok(per_second(count, started.elapsed()))
}

fn rows(clients: usize) -> usize {
    clients.min(ROWS_MAX)
}
