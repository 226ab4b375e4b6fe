//! What requests wait for, in Postgres; one reactor at a time holds the memory's lock.

use std::collections::HashMap;
use std::time::Duration;

use nsl_domain::process::State;
use nsl_schemas::canonical;
use sqlx::pool::PoolConnection;
use sqlx::{FromRow, PgPool, Postgres};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The advisory lock of the reactor: "nslreact" as a number. A session that ends gives it back.
const LOCK: i64 = 0x6e73_6c72_6561_6374;
/// How often a standby asks for the lock.
const LOCK_RETRY: Duration = Duration::from_millis(500);

/// How often the wait before a repeat of a job doubles: to eight minutes from the default of 15 s.
const DOUBLINGS_MAX: i32 = 5;

/// Why the memory's tables could not be made.
pub(crate) type MigrateError = sqlx::migrate::MigrateError;

/// Where a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process {
    /// The client's command.
    pub(super) request_id: Uuid,
    /// What it waits for.
    pub(super) state: State,
    /// The event that asks for the state's job: the one that led there, or the request's own.
    pub(super) position: u64,
}

#[derive(FromRow)]
struct Row {
    request_id: Uuid,
    state: String,
    #[sqlx(try_from = "i64")]
    position: u64,
}

impl TryFrom<Row> for Process {
    type Error = sqlx::Error;

    fn try_from(Row { request_id, state, position }: Row) -> Result<Self, sqlx::Error> {
        let state = serde_json::from_str(&state).map_err(|error| sqlx::Error::Decode(error.into()))?;
        Ok(Self { request_id, state, position })
    }
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
    /// Waits for the lock; `None` when the service stops meanwhile. `stands_by` is told whenever another one has it.
    pub(super) async fn lock(
        pool: &PgPool,
        stands_by: impl Fn(),
        stop: &CancellationToken,
    ) -> Result<Option<Self>, sqlx::Error> {
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
            stands_by();
            tokio::select! {
                () = tokio::time::sleep(LOCK_RETRY) => {}
                () = stop.cancelled() => return Ok(None),
            }
        }
    }

    /// Up to where events were followed.
    pub(super) async fn checkpoint(&mut self) -> Result<u64, sqlx::Error> {
        let position: i64 = sqlx::query_scalar("SELECT position FROM reactor.checkpoint")
            .fetch_one(&mut *self.connection)
            .await?;
        Ok(u64::try_from(position).unwrap_or_default())
    }

    /// Where these requests are; those that are over, or were never asked, are not there.
    pub(super) async fn load(&mut self, requests: &[Uuid]) -> Result<HashMap<Uuid, Process>, sqlx::Error> {
        if requests.is_empty() {
            return Ok(HashMap::new());
        }
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT request_id, state, position FROM reactor.processes WHERE request_id = ANY ($1)",
        )
        .bind(requests)
        .fetch_all(&mut *self.connection)
        .await?;
        rows.into_iter()
            .map(|row| Process::try_from(row).map(|process| (process.request_id, process)))
            .collect()
    }

    /// Remembers where a page of events led requests, with the position that it reaches, in one transaction. The last
    /// ones may be lost in a crash of the database: the log is read again from the checkpoint that is left. Jobs are
    /// published now, and overdue after `republish_after`; without it they are not, and are overdue at once. A job that is
    /// held back is overdue when that ends, and a state without a job never.
    pub(super) async fn record(
        &mut self,
        reached: &[Process],
        position: u64,
        republish_after: Option<Duration>,
    ) -> Result<(), sqlx::Error> {
        // One statement is one transaction and one round trip. No request is in both lists, so the parts do not meet.
        const RECORD: &str = "WITH over AS (DELETE FROM reactor.processes WHERE request_id = ANY ($1)),
             open AS (
                 INSERT INTO reactor.processes (request_id, state, position, due_ms, publications, publish_at)
                 SELECT request_id, state, position, due_ms,
                     CASE WHEN $6 IS NULL OR NOT has_job OR job_from_ms IS NOT NULL THEN 0 ELSE 1 END,
                     CASE WHEN NOT has_job THEN 'infinity'
                          WHEN job_from_ms IS NOT NULL THEN to_timestamp(job_from_ms / 1000.0)
                          WHEN $6 IS NULL THEN '-infinity'
                          ELSE clock_timestamp() + $6 * interval '1 millisecond' END
                 FROM unnest($2::uuid[], $3::text[], $4::bigint[], $5::bigint[], $8::bool[], $9::bigint[])
                     AS open (request_id, state, position, due_ms, has_job, job_from_ms)
                 ON CONFLICT (request_id) DO UPDATE SET state = excluded.state, position = excluded.position,
                     due_ms = excluded.due_ms, publications = excluded.publications,
                     publish_at = excluded.publish_at)
             UPDATE reactor.checkpoint SET position = $7";
        let (over, open): (Vec<Process>, Vec<Process>) =
            reached.iter().partition(|process| process.state == State::Over);
        sqlx::query(RECORD)
            .bind(over.iter().map(|process| process.request_id).collect::<Vec<_>>())
            .bind(open.iter().map(|process| process.request_id).collect::<Vec<_>>())
            .bind(open.iter().map(|process| canonical::to_string(&process.state)).collect::<Vec<_>>())
            .bind(open.iter().map(|process| column(process.position)).collect::<Vec<_>>())
            .bind(open.iter().map(|process| process.state.due_ms().map(column)).collect::<Vec<_>>())
            .bind(republish_after.map(milliseconds))
            .bind(column(position))
            .bind(open.iter().map(|process| process.state.job_kind().is_some()).collect::<Vec<_>>())
            .bind(open.iter().map(|process| process.state.job_from_ms().map(job_time)).collect::<Vec<_>>())
            .execute(&mut *self.connection)
            .await
            .map(drop)
    }

    /// Open jobs that are overdue; they count as published now. The wait for the next time doubles each time, up to a
    /// bound: while nobody works, the queue must not fill with repeats.
    pub(super) async fn take_overdue(
        &mut self,
        republish_after: Duration,
        limit: usize,
    ) -> Result<Vec<Process>, sqlx::Error> {
        let rows: Vec<Row> = sqlx::query_as(
            "UPDATE reactor.processes SET publications = publications + 1,
                 publish_at = clock_timestamp() + $1 * (1 << least(publications, $3)) * interval '1 millisecond'
             WHERE request_id IN (
                 SELECT request_id FROM reactor.processes WHERE publish_at <= clock_timestamp()
                 ORDER BY publish_at LIMIT $2)
             RETURNING request_id, state, position",
        )
        .bind(milliseconds(republish_after))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .bind(DOUBLINGS_MAX)
        .fetch_all(&mut *self.connection)
        .await?;
        rows.into_iter().map(Process::try_from).collect()
    }

    /// Processes whose deadline has passed at `now_ms`; unless they are settled, they are due again after `retry`. So a
    /// crash before the command is answered repeats the command.
    pub(super) async fn take_due(
        &mut self,
        now_ms: u64,
        retry: Duration,
        limit: usize,
    ) -> Result<Vec<Process>, sqlx::Error> {
        let again_ms = now_ms.saturating_add(u64::try_from(retry.as_millis()).unwrap_or(u64::MAX));
        let rows: Vec<Row> = sqlx::query_as(
            "UPDATE reactor.processes SET due_ms = $2
             WHERE request_id IN (
                 SELECT request_id FROM reactor.processes WHERE due_ms <= $1 ORDER BY due_ms LIMIT $3)
             RETURNING request_id, state, position",
        )
        .bind(column(now_ms))
        .bind(column(again_ms))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&mut *self.connection)
        .await?;
        rows.into_iter().map(Process::try_from).collect()
    }

    /// The command of the process' deadline was answered and is not sent again. A process that went on meanwhile is at
    /// another position, and its own deadline stays.
    pub(super) async fn settle(&mut self, process: Process) -> Result<(), sqlx::Error> {
        sqlx::query("UPDATE reactor.processes SET due_ms = NULL WHERE request_id = $1 AND position = $2")
            .bind(process.request_id)
            .bind(column(process.position))
            .execute(&mut *self.connection)
            .await
            .map(drop)
    }
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A time that the database's timestamps can hold, in ms: any later one is never.
fn job_time(ms: u64) -> i64 {
    /// The year 9999.
    const LAST_MS: u64 = 253_370_764_800_000;
    column(ms.min(LAST_MS))
}

/// A number as the database's type can hold it; positions and times end long before.
fn column(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
