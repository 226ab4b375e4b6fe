//! Builds a read model from the whole log beside the one that is served: to take its place, or to be compared with it.
//!
//! The service goes on meanwhile. A comparison is made of two states at the same position; a switch waits behind the
//! served build's lock, so a read model never steps back, and changes names only, so no question finds half of it. A
//! build that was killed goes on from its last commit. Nothing is published from a build before it is served.

pub mod command;
mod compare;

use std::time::Duration;

use nsl_event_store::{EventReader, MAX_PAGE_EVENTS, Page, ReadError};
use serde::Serialize;
use sqlx::Executor;
use sqlx::postgres::{PgConnection, PgPool};
use tokio::sync::watch;

use crate::builds::{self, Build, State};
use crate::database::{self, Database};
use crate::fault::{Failure as _, Fault};
use crate::feed::Feed;
use crate::read_model::Definition;
use crate::row::{self, Existing};
use crate::runner::{self, Advanced, advance};

pub use compare::Difference;

/// Class of the advisory locks of builds, so that no two share a schema. "nslb" in ASCII.
const BUILD_LOCK: i32 = 0x6e73_6c62;
/// How long a comparison waits for the served read model: it is behind by milliseconds, or by a restart.
const SERVED_PATIENCE: Duration = Duration::from_secs(30);
/// How often it looks.
const SERVED_INTERVAL: Duration = Duration::from_millis(100);
/// Positions behind the head at which a build is as good as there: the switch applies the rest under its lock.
const NEAR_POSITIONS: u64 = 1_000;
/// How long dropping a replaced build waits for questions that read it, below the server's deadlock timeout: it, and no
/// question, gives way.
const DROP_LOCK_TIMEOUT_MS: u32 = 500;
/// How often it is tried; what remains is dropped by the next build.
const DROP_TRIES: u32 = 10;

/// Why a read model cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log cannot be read.
    #[error("log cannot be read")]
    Log(#[from] ReadError),
    /// The database of the read models cannot be used.
    #[error(transparent)]
    Database(#[from] database::Error),
    /// Somebody else is building it.
    #[error("another build of {projection} is under way; wait until it ends")]
    Underway {
        /// Which.
        projection: &'static str,
    },
    /// Its tables cannot be made or dropped.
    #[error("tables of {projection} cannot be made or dropped")]
    Tables {
        /// Which.
        projection: &'static str,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// Events cannot be applied.
    #[error("rebuilding {projection} failed")]
    Build {
        /// Which.
        projection: &'static str,
        /// Why.
        #[source]
        source: runner::Error,
    },
    /// Somebody else wrote into the build, or the log ended before its head.
    #[error("rebuilding {projection} was disturbed at position {position}")]
    Disturbed {
        /// Which.
        projection: &'static str,
        /// Where.
        position: u64,
    },
    /// The served read model does not reach the position.
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

impl Error {
    /// What becomes of a read model that needs the build.
    pub(crate) fn fault(&self) -> Fault {
        match self {
            Self::Build { source, .. } => source.fault(),
            Self::Log(error) if !error.may_pass() => Fault::failed(self),
            _ => Fault::waiting(self),
        }
    }
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

/// Told position and head as a build gets on.
pub type Told<'a> = dyn FnMut(u64, u64) + Send + 'a;

/// A build under way: nobody else makes one of the same read model meanwhile.
#[derive(Debug)]
pub struct Rebuild {
    log: EventReader,
    definition: &'static Definition,
    state: State,
    pool: PgPool,
    /// Its session holds the lock.
    lock: PgConnection,
}

impl Rebuild {
    /// Takes the read model's lock, and the build that was begun or a new one. One to compare is always new.
    pub async fn begin(
        log: EventReader,
        database: &Database,
        definition: &'static Definition,
        state: State,
    ) -> Result<Self, Error> {
        let projection = definition.name;
        let failed = |source| Error::Tables { projection, source };
        let mut lock = database.session().await?;
        let taken: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1, hashtext($2))")
            .bind(BUILD_LOCK)
            .bind(projection)
            .fetch_one(&mut lock)
            .await
            .map_err(failed)?;
        if !taken {
            return Err(Error::Underway { projection });
        }
        let pool = database.open_for_build().await?;
        let head = log.head().await?;
        let begun = builds::find(&pool, definition, state).await.map_err(failed)?;
        // A log that was restored to before what the build has seen makes it worthless.
        if state == State::Checking || begun.is_some_and(|begun| begun.position > head) {
            builds::discard(&mut lock, definition, state).await.map_err(failed)?;
        }
        builds::create(&mut lock, definition, state).await.map_err(failed)?;
        let mut begun = Self { log, definition, state, pool, lock };
        begun.drop_replaced().await;
        Ok(begun)
    }

    /// Drops what an earlier build of this version had made, and begins from the first event.
    pub async fn afresh(&mut self) -> Result<(), Error> {
        let projection = self.definition.name;
        let failed = |source| Error::Tables { projection, source };
        builds::discard(&mut self.lock, self.definition, self.state).await.map_err(failed)?;
        builds::create(&mut self.lock, self.definition, self.state).await.map_err(failed)
    }

    /// Builds up to the log's head, puts the build in place, and answers the position it is at.
    pub async fn serve(mut self, told: &mut Told<'_>) -> Result<u64, Error> {
        let mut head = self.log.head().await?;
        loop {
            let at = self.fill(head, told).await?;
            head = self.log.head().await?;
            if head.saturating_sub(at.position) <= NEAR_POSITIONS {
                break;
            }
        }
        self.finish_tables().await?;
        // Making indexes took its time.
        let head = self.log.head().await?;
        self.fill(head, told).await?;
        let position = self.switch().await?;
        self.drop_replaced().await;
        Ok(position)
    }

    /// Compares the log's rows with the served ones at the same position, which is the present head or later, and drops
    /// the build.
    pub async fn check(mut self, told: &mut Told<'_>) -> Result<Comparison, Error> {
        let head = self.log.head().await?;
        let compared = match self.fill(head, told).await {
            Ok(_) => self.compare().await,
            Err(error) => Err(error),
        };
        let projection = self.definition.name;
        let dropped = builds::discard(&mut self.lock, self.definition, self.state).await;
        dropped.map_err(|source| Error::Tables { projection, source }).and(compared)
    }

    async fn compare(&self) -> Result<Comparison, Error> {
        const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        let projection = self.definition.name;
        let failed = |source| Error::Compare { projection, source };
        self.wait_for_served().await?;
        let path = |state| format!("SET LOCAL search_path = {}", builds::schema(self.definition, state));
        let mut served = self.pool.begin_with(SNAPSHOT).await.map_err(failed)?;
        sqlx::query(&path(State::Served)).execute(&mut *served).await.map_err(failed)?;
        let position: i64 = sqlx::query_scalar(
            "SELECT position FROM read.builds WHERE model = $1 AND version = $2 AND state = 'served'",
        )
        .bind(projection)
        .bind(i32::try_from(self.definition.version).unwrap_or(i32::MAX))
        .fetch_one(&mut *served)
        .await
        .map_err(failed)?;
        let position = u64::try_from(position).unwrap_or(0); // a CHECK keeps it from being negative
        let reached = self.fill(position, &mut |_, _| {}).await?.position;
        if reached != position {
            return Err(Error::Disturbed { projection, position: reached });
        }
        let mut checked = self.pool.begin().await.map_err(failed)?;
        sqlx::query(&path(self.state)).execute(&mut *checked).await.map_err(failed)?;
        let mut comparison = Comparison { position, rows: 0, differing: 0, differences: Vec::new() };
        for table in self.definition.tables {
            compare::table(&mut served, &mut checked, *table, &mut comparison).await.map_err(failed)?;
        }
        Ok(comparison)
    }

    /// Applies the log up to a position.
    async fn fill(&self, upto: u64, told: &mut Told<'_>) -> Result<Build, Error> {
        let projection = self.definition.name;
        let failed = |source| Error::Build { projection, source };
        let found = builds::find(&self.pool, self.definition, self.state).await;
        let found = found.map_err(|source| failed(runner::Error::Checkpoint(source)))?;
        let mut at = found.ok_or(Error::Disturbed { projection, position: 0 })?;
        // Everything that is asked for is there, so nobody need wake the reading.
        let (_, wake) = watch::channel(upto);
        let mut feed = Feed::start(self.log.clone(), at.position, self.definition.filter(), wake);
        while at.position < upto {
            let chunk = cut(feed.chunk().await?, upto);
            match advance(&self.pool, self.definition, at, &chunk).await.map_err(failed)? {
                Advanced::To(reached) => at = reached,
                Advanced::Elsewhere => return Err(Error::Disturbed { projection, position: at.position }),
            }
            told(at.position, upto);
        }
        Ok(at)
    }

    /// Makes the indexes, and tells the planner what is in the tables.
    async fn finish_tables(&self) -> Result<(), Error> {
        let projection = self.definition.name;
        let failed = |source| Error::Tables { projection, source };
        let mut statements =
            format!("SET LOCAL search_path = {};", builds::schema(self.definition, self.state));
        statements.push_str(self.definition.indexes);
        for table in self.definition.tables {
            statements.push_str("; ANALYZE ");
            statements.push_str(table.name);
        }
        let mut transaction = self.pool.begin().await.map_err(failed)?;
        transaction.execute(statements.as_str()).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)
    }

    async fn switch(&self) -> Result<u64, Error> {
        let definition = self.definition;
        let failed = |source| Error::Replace { projection: definition.name, source };
        let mut transaction = self.pool.begin().await.map_err(failed)?;
        // Behind the locks, what is served stands still. One that is ahead of the log falls back to the log's end.
        let served = builds::lock_served(&mut transaction, definition).await.map_err(failed)?;
        let upto = served.unwrap_or(0).min(self.log.head().await?);
        let found = builds::lock(&mut transaction, definition, self.state).await.map_err(failed)?;
        let mut at = found.ok_or(Error::Disturbed { projection: definition.name, position: 0 })?.position;
        while at < upto {
            let page = cut(self.log.read(at, MAX_PAGE_EVENTS, &definition.filter()).await?, upto);
            self.apply(&mut transaction, &page).await?;
            at = page.position;
        }
        builds::advance(&mut transaction, definition, self.state, at).await.map_err(failed)?;
        builds::switch(&mut transaction, definition).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(at)
    }

    async fn apply(&self, transaction: &mut PgConnection, page: &Page) -> Result<(), Error> {
        let projection = self.definition.name;
        let applied = (self.definition.apply)(transaction, &page.events, Existing::Unknown).await;
        applied.map_err(|source: row::Error| Error::Build { projection, source: runner::Error::Rows(source) })
    }

    /// Nobody finds the replaced tables any more; whoever still reads them is waited for, a little.
    async fn drop_replaced(&mut self) {
        let schema = builds::replaced_schema(self.definition);
        let drop =
            format!("SET lock_timeout = {DROP_LOCK_TIMEOUT_MS}; DROP SCHEMA IF EXISTS {schema} CASCADE");
        for _ in 0..DROP_TRIES {
            match self.lock.execute(drop.as_str()).await {
                Ok(_) => return,
                Err(error) => tracing::debug!(schema, %error, "replaced read model is still read"),
            }
        }
        tracing::warn!(schema, "replaced read model remains until the next build drops it");
    }

    async fn wait_for_served(&self) -> Result<(), Error> {
        let projection = self.definition.name;
        let failed = |source| Error::Compare { projection, source };
        let asked = self.log.head().await?;
        let deadline = tokio::time::Instant::now() + SERVED_PATIENCE;
        loop {
            let found = builds::find(&self.pool, self.definition, State::Served).await.map_err(failed)?;
            let position = found.map_or(0, |found| found.position);
            if found.is_some() && position >= asked {
                return Ok(());
            }
            let stopped = builds::stop_reason(&self.pool, self.definition).await.map_err(failed)?;
            if let Some(reason) = stopped {
                return Err(Error::LiveBehind { projection, position, asked, reason });
            }
            if tokio::time::Instant::now() >= deadline {
                let reason = "is nsl-projections running?".to_owned();
                return Err(Error::LiveBehind { projection, position, asked, reason });
            }
            tokio::time::sleep(SERVED_INTERVAL).await;
        }
    }
}

/// A page without what is beyond a position.
fn cut(mut page: Page, upto: u64) -> Page {
    page.events.retain(|event| event.position <= upto);
    page.position = page.position.min(upto);
    page
}
