//! Builds read models anew from the whole log in a shadow schema: to compare them with the live ones, or to replace them.
//!
//! The live service goes on meanwhile. A comparison is made of two states at the same position; a replacement waits
//! behind the live checkpoint's lock, so a read model never steps back.

pub mod command;
mod compare;

use std::time::Duration;

use nsl_event_store::{ConnectError, EventReader, Page, ReadError};
use serde::Serialize;
use sqlx::Connection;
use sqlx::postgres::{PgConnection, PgPool};

use crate::checkpoint::{self, Checkpoint};
use crate::database::{self, Database, Schema, bigint};
use crate::read_model::ReadModel;
use crate::runner::{self, Advanced, PAGE_EVENTS, advance};

pub use compare::Difference;

/// Held while a rebuild is under way, so that no two share the shadow. "nslrebld" in ASCII.
const REBUILD_LOCK: i64 = 0x6e73_6c72_6562_6c64;
/// How long a comparison waits for the live read model: it is behind by milliseconds, or by a restart.
const LIVE_PATIENCE: Duration = Duration::from_secs(30);
/// How often it looks.
const LIVE_INTERVAL: Duration = Duration::from_millis(100);
/// Sessions on the log.
const LOG_CONNECTIONS: u32 = 2;

/// Why a read model cannot be rebuilt.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log cannot be used.
    #[error("event log cannot be used")]
    Connect(#[from] ConnectError),
    /// The log cannot be read.
    #[error("log cannot be read")]
    Log(#[from] ReadError),
    /// The database of the read models cannot be used.
    #[error(transparent)]
    Database(#[from] database::Error),
    /// Another rebuild uses the shadow schema.
    #[error("another rebuild is under way; wait until it ends")]
    Underway,
    /// Events cannot be applied.
    #[error("rebuilding {projection} failed")]
    Build {
        /// Which.
        projection: &'static str,
        /// Why.
        #[source]
        source: runner::Error,
    },
    /// Somebody else wrote into the shadow schema, or the log ended before its head.
    #[error("rebuilding {projection} was disturbed at position {position}")]
    Disturbed {
        /// Which.
        projection: &'static str,
        /// Where.
        position: u64,
    },
    /// The live read model does not reach the position.
    #[error("live {projection} is at position {position} and does not reach {asked}: {reason}")]
    LiveBehind {
        /// Which.
        projection: &'static str,
        /// Where it is.
        position: u64,
        /// The log's head.
        asked: u64,
        /// Why it stopped, as far as is known.
        reason: String,
    },
    /// The rows cannot be compared.
    #[error("rows of {projection} cannot be compared")]
    Compare {
        /// Which.
        projection: &'static str,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// The rebuilt tables cannot be put in place.
    #[error("rebuilt {projection} cannot replace the live one")]
    Replace {
        /// Which.
        projection: &'static str,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
}

/// What a comparison found.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    /// The position of both states.
    pub position: u64,
    /// Rows that either has.
    pub rows: u64,
    /// Rows that are not in both, or not the same.
    pub differing: u64,
    /// The first of them.
    pub differences: Vec<Difference>,
}

/// A rebuild under way: it owns the shadow schema.
#[derive(Debug)]
pub struct Rebuild {
    log: EventReader,
    database: Database,
    live: PgPool,
    shadow: PgPool,
    lock: PgConnection,
}

impl Rebuild {
    /// Takes the shadow schema and makes it empty.
    pub async fn begin(log_url: &str, database: Database) -> Result<Self, Error> {
        let log = EventReader::connect(log_url, LOG_CONNECTIONS).await?;
        let mut lock = database.session(Schema::Live).await?;
        let taken: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
            .bind(REBUILD_LOCK)
            .fetch_one(&mut lock)
            .await
            .map_err(database::Error::Unavailable)?;
        if !taken {
            return Err(Error::Underway);
        }
        database.prepare(Schema::Live).await?;
        database.drop_shadow().await?;
        database.prepare(Schema::Shadow).await?;
        let live = database.open_for_rebuild(Schema::Live).await?;
        let shadow = database.open_for_rebuild(Schema::Shadow).await?;
        Ok(Self { log, database, live, shadow, lock })
    }

    /// Builds a read model from position 1 to the log's present head, telling position and head on the way.
    pub async fn build(
        &self,
        model: ReadModel,
        told: &mut (dyn FnMut(u64, u64) + Send),
    ) -> Result<u64, Error> {
        let head = self.log.head().await?;
        Ok(self.build_upto(model, head, told).await?.position)
    }

    /// Compares the rebuilt rows with the live ones at the same position, which is the present head or later.
    pub async fn compare(&self, model: ReadModel) -> Result<Comparison, Error> {
        const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        let projection = model.name();
        let failed = |source| Error::Compare { projection, source };
        self.wait_for_live(model).await?;
        let mut live = self.live.begin_with(SNAPSHOT).await.map_err(failed)?;
        let position: i64 = sqlx::query_scalar("SELECT position FROM checkpoints WHERE follower = $1")
            .bind(projection)
            .fetch_one(&mut *live)
            .await
            .map_err(failed)?;
        let position = u64::try_from(position).unwrap_or(0); // a CHECK keeps it from being negative
        let reached = self.build_upto(model, position, &mut |_, _| {}).await?.position;
        if reached != position {
            return Err(Error::Disturbed { projection, position: reached });
        }
        let mut shadow = self.shadow.acquire().await.map_err(failed)?;
        let mut comparison = Comparison { position, rows: 0, differing: 0, differences: Vec::new() };
        for table in model.tables() {
            compare::table(&mut live, &mut shadow, *table, &mut comparison).await.map_err(failed)?;
        }
        Ok(comparison)
    }

    /// Puts the rebuilt tables in the place of the live ones; the position that they are at.
    pub async fn replace(&self, model: ReadModel) -> Result<u64, Error> {
        let projection = model.name();
        let failed = |source| Error::Replace { projection, source };
        checkpoint::load(&self.live, projection).await.map_err(failed)?;
        let mut transaction = self.live.begin().await.map_err(failed)?;
        let live = checkpoint::lock(&mut transaction, projection).await.map_err(failed)?;
        // Behind the lock the live model stands still. One that is ahead of the log falls back to the log's end.
        let upto = live.position.min(self.log.head().await?);
        let rebuilt = self.build_upto(model, upto, &mut |_, _| {}).await?;
        let (from, to) = (Schema::Shadow.name(), Schema::Live.name());
        for table in model.tables().iter().map(|table| table.name) {
            let swap = format!("DROP TABLE {to}.{table}; ALTER TABLE {from}.{table} SET SCHEMA {to}");
            sqlx::raw_sql(&swap).execute(&mut *transaction).await.map_err(failed)?;
        }
        sqlx::query(
            "UPDATE checkpoints SET position = $2, generation = generation + 1, error = NULL WHERE follower = $1",
        )
        .bind(projection)
        .bind(bigint(rebuilt.position))
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(rebuilt.position)
    }

    /// Drops the shadow schema and gives it free.
    pub async fn end(self) -> Result<(), Error> {
        self.shadow.close().await;
        self.live.close().await;
        self.database.drop_shadow().await?;
        Ok(self.lock.close().await.map_err(database::Error::Unavailable)?)
    }

    async fn build_upto(
        &self,
        model: ReadModel,
        upto: u64,
        told: &mut (dyn FnMut(u64, u64) + Send),
    ) -> Result<Checkpoint, Error> {
        let projection = model.name();
        let failed = |source| Error::Build { projection, source };
        let load = checkpoint::load(&self.shadow, projection).await;
        let mut at = load.map_err(|source| failed(runner::Error::Checkpoint(source)))?;
        while at.position < upto {
            let page = self.log.read(at.position, PAGE_EVENTS, &model.filter()).await?;
            let page = cut(page, upto);
            let disturbed = Error::Disturbed { projection, position: at.position };
            if page.position <= at.position {
                return Err(disturbed);
            }
            match advance(&self.shadow, model, at, &page).await.map_err(failed)? {
                Advanced::To(reached) => at = reached,
                Advanced::Elsewhere => return Err(disturbed),
            }
            told(at.position, upto);
        }
        Ok(at)
    }

    async fn wait_for_live(&self, model: ReadModel) -> Result<(), Error> {
        let projection = model.name();
        let failed = |source| Error::Compare { projection, source };
        let asked = self.log.head().await?;
        let deadline = tokio::time::Instant::now() + LIVE_PATIENCE;
        loop {
            let position = checkpoint::load(&self.live, projection).await.map_err(failed)?.position;
            if position >= asked {
                return Ok(());
            }
            let stopped = checkpoint::stop_reason(&self.live, projection).await.map_err(failed)?;
            if let Some(reason) = stopped {
                return Err(Error::LiveBehind { projection, position, asked, reason });
            }
            if tokio::time::Instant::now() >= deadline {
                let reason = "is nsl-projections running?".to_owned();
                return Err(Error::LiveBehind { projection, position, asked, reason });
            }
            tokio::time::sleep(LIVE_INTERVAL).await;
        }
    }
}

/// A page without what is beyond a position.
fn cut(mut page: Page, upto: u64) -> Page {
    page.events.retain(|event| event.position <= upto);
    page.position = page.position.min(upto);
    page
}
