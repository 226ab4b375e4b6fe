//! Which jobs are open, in Postgres; one reactor at a time holds the memory's lock.

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{FromRow, PgPool, Postgres};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The advisory lock of the reactor: "nslreact" as a number. A session that ends gives it back.
const LOCK: i64 = 0x6e73_6c72_6561_6374;
/// How often a standby asks for the lock.
const LOCK_RETRY: Duration = Duration::from_millis(500);

/// Why the memory's tables could not be made.
pub(crate) type MigrateError = sqlx::migrate::MigrateError;

/// A job without outcome.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub(super) struct OpenJob {
    /// The client's command.
    pub(super) request_id: Uuid,
    /// The job's kind.
    pub(super) kind: String,
    /// The event that asks for it.
    #[sqlx(try_from = "i64")]
    pub(super) position: u64,
}

/// Makes the tables; the role that runs this owns them.
pub(crate) async fn migrate(url: &str) -> Result<(), MigrateError> {
    let pool = sqlx::postgres::PgPoolOptions::new().max_connections(1).connect(url).await?;
    // The migrator keeps its own table in the first schema of the path, so the log's migrations do not meet these.
    sqlx::query("CREATE SCHEMA IF NOT EXISTS reactor").execute(&pool).await?;
    sqlx::query("SET search_path TO reactor").execute(&pool).await?;
    sqlx::migrate!().run(&pool).await?;
    pool.close().await;
    Ok(())
}

/// The memory, held by this reactor alone.
pub(super) struct Memory {
    connection: PoolConnection<Postgres>,
}

impl Memory {
    /// Waits for the lock; `None` when the service stops meanwhile.
    pub(super) async fn lock(pool: &PgPool, stop: &CancellationToken) -> Result<Option<Self>, sqlx::Error> {
        let mut connection = pool.acquire().await?;
        // The session must not go back into the pool with the lock.
        connection.close_on_drop();
        loop {
            let locked: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
                .bind(LOCK)
                .fetch_one(&mut *connection)
                .await?;
            if locked {
                return Ok(Some(Self { connection }));
            }
            tokio::select! {
                () = tokio::time::sleep(LOCK_RETRY) => {}
                () = stop.cancelled() => return Ok(None),
            }
        }
    }

    /// Up to where events were turned into jobs.
    pub(super) async fn checkpoint(&mut self) -> Result<u64, sqlx::Error> {
        let position: i64 = sqlx::query_scalar("SELECT position FROM reactor.checkpoint")
            .fetch_one(&mut *self.connection)
            .await?;
        Ok(u64::try_from(position).unwrap_or_default())
    }

    /// Remembers what a page of events opened and closed, with the position that it reaches, in one transaction. The
    /// last ones may be lost in a crash of the database: the log is read again from the checkpoint that is left.
    pub(super) async fn record(
        &mut self,
        opened: &[OpenJob],
        closed: &[(Uuid, &str)],
        position: u64,
    ) -> Result<(), sqlx::Error> {
        // One statement is one transaction and one round trip. No job is in both lists, so the parts do not meet.
        const RECORD: &str = "WITH opened AS (
                 INSERT INTO reactor.open_jobs (request_id, kind, position)
                 SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[]) ON CONFLICT DO NOTHING),
             closed AS (
                 DELETE FROM reactor.open_jobs AS j USING unnest($4::uuid[], $5::text[]) AS c(request_id, kind)
                 WHERE j.request_id = c.request_id AND j.kind = c.kind)
             UPDATE reactor.checkpoint SET position = $6";
        sqlx::query(RECORD)
            .bind(opened.iter().map(|job| job.request_id).collect::<Vec<_>>())
            .bind(opened.iter().map(|job| job.kind.as_str()).collect::<Vec<_>>())
            .bind(opened.iter().map(|job| column(job.position)).collect::<Vec<_>>())
            .bind(closed.iter().map(|(request_id, _)| *request_id).collect::<Vec<_>>())
            .bind(closed.iter().map(|(_, kind)| *kind).collect::<Vec<_>>())
            .bind(column(position))
            .execute(&mut *self.connection)
            .await
            .map(drop)
    }

    /// Open jobs that were published too long ago; they count as published now.
    pub(super) async fn take_overdue(
        &mut self,
        age: Duration,
        limit: i64,
    ) -> Result<Vec<OpenJob>, sqlx::Error> {
        sqlx::query_as(
            "UPDATE reactor.open_jobs SET published_at = clock_timestamp()
             WHERE (request_id, kind) IN (
                 SELECT request_id, kind FROM reactor.open_jobs
                 WHERE published_at < clock_timestamp() - $1 * interval '1 millisecond'
                 ORDER BY published_at LIMIT $2)
             RETURNING request_id, kind, position",
        )
        .bind(i64::try_from(age.as_millis()).unwrap_or(i64::MAX))
        .bind(limit)
        .fetch_all(&mut *self.connection)
        .await
    }
}

fn column(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}
