//! The empty database that becomes the log, in one transaction of the role that owns the tables.

use std::collections::BTreeMap;

use nsl_event_store::{EventPage, EventStore, PARTITION_POSITIONS, Receipt};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _};

use super::{Error, Stretch, copy};

/// SQLSTATE of a value that is there twice.
const UNIQUE_VIOLATION: &str = "23505";

/// A database with an open transaction, whose log is empty. Dropping it undoes everything.
pub(super) struct Target {
    session: PgConnection,
    /// The first position without a partition.
    frontier: u64,
}

impl Target {
    /// Migrates the database, begins the transaction, and sees that there is no log. From here on nobody appends: the head
    /// is locked.
    pub(super) async fn open(url: &str) -> Result<Self, Error> {
        EventStore::migrate(url).await?;
        let options: PgConnectOptions = url.parse().map_err(database("reading the database url"))?;
        let mut session = options.connect().await.map_err(database("logging in"))?;
        for statement in ["BEGIN", "SELECT FROM log_head WHERE log_id = 1 FOR UPDATE"] {
            execute(&mut session, statement, "locking the head").await?;
        }
        refuse_if_used(&mut session).await?;
        Ok(Self { session, frontier: 0 })
    }

    /// Copies a page's events and commands, and the receipts of the commands that end in it.
    pub(super) async fn copy(&mut self, page: &EventPage, receipts: &[Receipt]) -> Result<(), Error> {
        self.make_partitions(page.position()).await?;
        self.copy_in(copy::EVENTS, copy::events(page)?, "copying events").await?;
        self.copy_in(copy::ENVELOPES, copy::envelopes(page)?, "copying commands").await?;
        let copied = self.copy_in(copy::RECEIPTS, copy::receipts(receipts)?, "copying receipts").await;
        copied.map_err(|error| match error {
            Error::Database { source, .. } if is_repeated(&source) => {
                Error::RepeatedCommand { position: page.position() }
            }
            other => other,
        })
    }

    /// One partition at a time: `ensure_event_partitions` makes a few ahead and no more.
    async fn make_partitions(&mut self, upto: u64) -> Result<(), Error> {
        while self.frontier <= upto {
            let next = self.frontier.saturating_add(PARTITION_POSITIONS).min(upto);
            let frontier: i64 = sqlx::query_scalar("SELECT ensure_event_partitions($1)")
                .bind(number(next))
                .fetch_one(&mut self.session)
                .await
                .map_err(database("making partitions"))?;
            self.frontier = u64::try_from(frontier).unwrap_or(0);
        }
        Ok(())
    }

    async fn copy_in(
        &mut self,
        statement: &str,
        rows: Vec<u8>,
        operation: &'static str,
    ) -> Result<(), Error> {
        let failed = database(operation);
        let mut copy = self.session.copy_in_raw(statement).await.map_err(&failed)?;
        copy.send(rows).await.map_err(&failed)?;
        copy.finish().await.map(drop).map_err(&failed)
    }

    /// Every stream's version, once its events are 1, 2, 3, … in the order of their positions; how many there are.
    pub(super) async fn derive_streams(&mut self) -> Result<u64, Error> {
        const DERIVE: &str = "
            WITH numbered AS (
                SELECT aggregate_type, aggregate_id, sequence, position,
                       row_number() OVER (PARTITION BY aggregate_id, aggregate_type ORDER BY position) AS expected
                  FROM public.events
            ), counted AS MATERIALIZED (
                SELECT aggregate_type, aggregate_id, count(*) AS version,
                       min(position) FILTER (WHERE sequence <> expected) AS broken
                  FROM numbered GROUP BY aggregate_id, aggregate_type
            ), derived AS (
                INSERT INTO public.streams (aggregate_type, aggregate_id, version)
                SELECT aggregate_type, aggregate_id, version FROM counted WHERE broken IS NULL
            )
            SELECT count(*), min(broken) FROM counted";
        let (streams, broken): (i64, Option<i64>) = sqlx::query_as(DERIVE)
            .fetch_one(&mut self.session)
            .await
            .map_err(database("deriving the streams' versions"))?;
        match broken {
            Some(position) => Err(Error::BrokenStream { position: u64::try_from(position).unwrap_or(0) }),
            None => Ok(u64::try_from(streams).unwrap_or(0)),
        }
    }

    /// Raises every lease's epoch above any that a former site of this log can have reached: the milliseconds since 1970, as
    /// no lease changes hands once a millisecond all that time. So what a processor of such a site still appends is
    /// refused, should its connection ever lead here.
    pub(super) async fn fence_off_former_sites(&mut self) -> Result<u64, Error> {
        const FENCE: &str = "
            WITH now AS (SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS epoch),
            raised AS (
                UPDATE public.partition_lease AS l
                   SET owner = NULL, expires_at = NULL, epoch = greatest(l.epoch, now.epoch) FROM now
                RETURNING l.epoch
            )
            SELECT max(epoch) FROM raised";
        let epoch: i64 = sqlx::query_scalar(FENCE)
            .fetch_one(&mut self.session)
            .await
            .map_err(database("raising the leases' epochs"))?;
        Ok(u64::try_from(epoch).unwrap_or(0))
    }

    /// Remembers the archives of whole partitions, sets the head, and commits.
    pub(super) async fn finish(mut self, head: u64, archives: &[Stretch]) -> Result<(), Error> {
        sqlx::query("UPDATE log_head SET position = $1 WHERE log_id = 1")
            .bind(number(head))
            .execute(&mut self.session)
            .await
            .map_err(database("setting the head"))?;
        execute(&mut self.session, "SELECT seal_log_partitions()", "sealing partitions").await?;
        let sealed: Vec<(i64, i64)> =
            sqlx::query_as("SELECT first_position, end_position FROM log_partitions WHERE state = 'sealed'")
                .fetch_all(&mut self.session)
                .await
                .map_err(database("listing the partitions"))?;
        let sealed: BTreeMap<i64, i64> = sealed.into_iter().collect();
        for Stretch { summary, file, sha256 } in archives {
            let is_partition =
                sealed.get(&number(summary.first_position)) == Some(&number(summary.last_position + 1));
            if is_partition {
                sqlx::query("SELECT record_log_archive($1, $2, $3, $4)")
                    .bind(number(summary.first_position))
                    .bind(file)
                    .bind(sha256)
                    .bind(number(summary.events))
                    .execute(&mut self.session)
                    .await
                    .map_err(database("recording an archive"))?;
            }
        }
        execute(&mut self.session, "COMMIT", "committing").await?;
        // The server ends the session of a client that is gone anyway.
        let _ = self.session.close().await;
        Ok(())
    }
}

/// Refuses a database that has a log, or anything of one.
async fn refuse_if_used(session: &mut PgConnection) -> Result<(), Error> {
    const USED: &str = "
        SELECT what FROM (
            SELECT 1, 'the head is at position ' || position FROM log_head WHERE position > 0 OR first_position <> 1
            UNION ALL SELECT 2, 'it has events' WHERE EXISTS (SELECT FROM events)
            UNION ALL SELECT 3, 'it has commands' WHERE EXISTS (SELECT FROM envelopes)
            UNION ALL SELECT 4, 'it has receipts' WHERE EXISTS (SELECT FROM receipts)
            UNION ALL SELECT 5, 'it has streams' WHERE EXISTS (SELECT FROM streams)
            UNION ALL SELECT 6, 'it has snapshots' WHERE EXISTS (SELECT FROM snapshots)
        ) AS used(rank, what) ORDER BY rank LIMIT 1";
    let used: Option<String> =
        sqlx::query_scalar(USED).fetch_optional(session).await.map_err(database("looking for a log"))?;
    used.map_or(Ok(()), |what| Err(Error::NotEmpty { what }))
}

async fn execute(session: &mut PgConnection, statement: &str, operation: &'static str) -> Result<(), Error> {
    sqlx::raw_sql(statement).execute(session).await.map(drop).map_err(database(operation))
}

fn is_repeated(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| code == UNIQUE_VIOLATION)
}

fn database(operation: &'static str) -> impl Fn(sqlx::Error) -> Error {
    move |source| Error::Database { operation, source }
}

/// Positions and counts are far below an `i64`'s bound; one beyond it is no partition's.
fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
