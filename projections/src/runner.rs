//! Runs one read model: chunks of the log become rows, committed with the checkpoint in one transaction.
//!
//! An event that cannot be applied is never skipped: what is before it is committed, then this read model stops, and
//! only this one, until a retry, a restart or a rebuild gets on. Several processes may run the same: the checkpoint's
//! lock lets one write at a time, and the other continues from where that one came to. A version that is not there yet is
//! built first, beside the one that answers.

use std::pin::pin;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use nsl_event_store::{EventReader, Page, ReadError, RecordedEvent};
use nsl_schemas::query::ProjectionState;
use sqlx::postgres::PgPool;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::builds::{self, Build, State};
use crate::database::Database;
use crate::failpoints;
use crate::fault::{Failure, Fault, Pace, Tries, caught, described};
use crate::feed::Feed;
use crate::progress::Progress;
use crate::read_model::Definition;
use crate::rebuild::{self, Rebuild};
use crate::row::{self, Existing};

/// How often a stopped read model looks whether it was rebuilt, and a build shows how far it is.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How often a build says in the log how far it is.
const BUILD_LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Why a read model does not get on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log cannot be read.
    #[error("log cannot be read")]
    Log(#[from] ReadError),
    /// The checkpoint cannot be read or written.
    #[error("checkpoint cannot be read or written")]
    Checkpoint(#[source] sqlx::Error),
    /// The rows cannot be written now.
    #[error(transparent)]
    Rows(row::Error),
    /// An event cannot be applied.
    #[error("event {position} ({event_id}) cannot be applied")]
    Event {
        /// Where it is.
        position: u64,
        /// Which it is.
        event_id: Uuid,
        /// Why.
        #[source]
        source: row::Error,
    },
    /// The log ends before the checkpoint: it was restored to an earlier state than the read model has seen.
    #[error("read model is at position {position}, but the log ends at {head}: rebuild it")]
    AheadOfLog {
        /// The checkpoint.
        position: u64,
        /// The log's head.
        head: u64,
    },
    /// Its version cannot be built.
    #[error(transparent)]
    Build(Box<rebuild::Error>),
    /// The code that follows the log panicked.
    #[error("projection panicked: {message}")]
    Panicked {
        /// What the panic said.
        message: String,
    },
}

impl Failure for Error {
    fn panicked(message: String) -> Self {
        Self::Panicked { message }
    }

    fn fault(&self) -> Fault {
        match self {
            Self::Log(error) if !error.may_pass() => Fault::failed(self),
            Self::AheadOfLog { .. } | Self::Panicked { .. } => Fault::failed(self),
            Self::Log(_) | Self::Checkpoint(_) | Self::Rows(_) => Fault::waiting(self),
            Self::Event { position, event_id, source } => {
                let future = source.is_from_the_future();
                let state = if future { ProjectionState::Parked } else { ProjectionState::Failed };
                Fault { state, event: Some((*position, *event_id)), ..Fault::waiting(self) }
            }
            Self::Build(error) => Fault { reason: described(self), ..error.fault() },
        }
    }
}

/// What became of a chunk.
#[derive(Debug)]
pub(crate) enum Advanced {
    /// It is committed.
    To(Build),
    /// Somebody else moved the checkpoint or replaced the build; nothing was written.
    Elsewhere,
}

/// Runs one read model.
#[derive(Debug)]
pub struct Runner {
    /// Which.
    pub definition: &'static Definition,
    /// The log.
    pub log: EventReader,
    /// Where builds are made.
    pub database: Database,
    /// Where it is served.
    pub pool: PgPool,
    /// Where it shows how far it is.
    pub progress: Progress,
    /// How long it rests when it does not get on.
    pub pace: Pace,
}

impl Runner {
    /// Follows the log until `stop`; what was taken is finished.
    pub async fn run(self, wake: watch::Receiver<u64>, stop: CancellationToken) {
        let mut tries = Tries::default();
        while !stop.is_cancelled() {
            let mut at = None;
            let work = self.get_on(&mut at, &wake, &stop);
            let tried = tries.make(self.definition.name, &self.progress, self.pace, work).await;
            let Err((fault, rest)) = tried else { continue };
            self.rest(&fault, rest, at, &stop).await;
        }
    }

    /// Follows the served build, or makes one. Ends at `stop`, and when there is another build to follow.
    async fn get_on(
        &self,
        at: &mut Option<Build>,
        wake: &watch::Receiver<u64>,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        let served = builds::find(&self.pool, self.definition, State::Served).await;
        *at = served.map_err(Error::Checkpoint)?;
        match *at {
            Some(build) => self.follow(build, wake, stop).await,
            None => self.build(stop).await,
        }
    }

    async fn follow(
        &self,
        mut at: Build,
        wake: &watch::Receiver<u64>,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        let head = self.log.head().await?;
        if head < at.position {
            return Err(Error::AheadOfLog { position: at.position, head });
        }
        // After a failure it is well again only once it got on.
        if at.position == head || self.progress.fault().is_none() {
            self.progress.at(at.position, head);
        }
        let mut feed = Feed::start(self.log.clone(), at.position, self.definition.filter(), wake.clone());
        loop {
            let chunk = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                chunk = feed.chunk() => chunk?,
            };
            if let Some(event) = chunk.events.first() {
                self.progress.waits_since(event.recorded_at_ms);
            }
            match advance(&self.pool, self.definition, at, &chunk).await? {
                Advanced::To(reached) => at = reached,
                Advanced::Elsewhere => return Ok(()),
            }
            self.progress.applied(chunk.events.len());
            self.progress.at(at.position, chunk.head);
        }
    }

    /// Builds this version, or waits while somebody else does.
    async fn build(&self, stop: &CancellationToken) -> Result<(), Error> {
        let begun = Rebuild::begin(self.log.clone(), &self.database, self.definition, State::Building).await;
        let rebuild = match begun {
            Ok(rebuild) => rebuild,
            Err(rebuild::Error::Underway { .. }) => {
                self.show_build().await?;
                pause(LOOK_INTERVAL, stop).await;
                return Ok(());
            }
            Err(error) => return Err(Error::Build(Box::new(error))),
        };
        let (projection, version) = (self.definition.name, self.definition.version);
        let mut logged: Option<Instant> = None;
        let mut told = |position, head| {
            if logged.is_none_or(|logged| logged.elapsed() >= BUILD_LOG_INTERVAL) {
                tracing::info!(projection, version, position, head, "building a read model");
                logged = Some(Instant::now());
            }
        };
        let mut serving = pin!(rebuild.serve(&mut told));
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                served = &mut serving => {
                    let position = served.map_err(|error| Error::Build(Box::new(error)))?;
                    tracing::info!(projection, version, position, "read model was built and switched to");
                    return Ok(());
                }
                () = tokio::time::sleep(LOOK_INTERVAL) => self.show_build().await?,
            }
        }
    }

    async fn show_build(&self) -> Result<(), Error> {
        let failed = Error::Checkpoint;
        let built = builds::find(&self.pool, self.definition, State::Building).await.map_err(failed)?;
        let answering = builds::answering_position(&self.pool, self.definition).await.map_err(failed)?;
        let head = self.log.head().await?;
        self.progress.building(built.map_or(0, |built| built.position), answering.unwrap_or(0), head);
        Ok(())
    }

    /// Shows why it does not get on, for so long or until another build replaces this one.
    async fn rest(&self, fault: &Fault, rest: Duration, at: Option<Build>, stop: &CancellationToken) {
        if fault.state == ProjectionState::Waiting {
            self.progress.blocked(fault, None, None);
            return pause(rest, stop).await;
        }
        let (until, mut recorded) = (Instant::now() + rest, false);
        while !stop.is_cancelled() && Instant::now() < until {
            // A database that does not answer now is asked again; the reason to stop remains the first one.
            let found = builds::find(&self.pool, self.definition, State::Served).await.ok().flatten();
            let position = found.map(|found| found.position);
            self.progress.blocked(fault, position, self.log.head().await.ok());
            if found.map(|found| found.generation) != at.map(|at| at.generation) && found.is_some() {
                tracing::info!(projection = self.definition.name, position, "projection was rebuilt");
                return;
            }
            if !recorded {
                recorded = builds::record_stop(&self.pool, self.definition, &fault.reason).await.is_ok();
            }
            pause(LOOK_INTERVAL.min(rest), stop).await;
        }
    }
}

/// Commits a chunk on top of the build `from`. Where one of its events cannot be applied, commits what is before that
/// event and answers the error.
pub(crate) async fn advance(
    pool: &PgPool,
    definition: &'static Definition,
    from: Build,
    chunk: &Page,
) -> Result<Advanced, Error> {
    advance_to(pool, definition, from, &chunk.events, chunk.position).await
}

fn advance_to<'a>(
    pool: &'a PgPool,
    definition: &'static Definition,
    from: Build,
    events: &'a [RecordedEvent],
    upto: u64,
) -> BoxFuture<'a, Result<Advanced, Error>> {
    async move {
        let error = match commit(pool, definition, from, events, upto).await {
            Err(Error::Rows(error)) if !matches!(error, row::Error::Unavailable { .. }) => error,
            other => return other,
        };
        // What is before the event goes in; where nobody says which event it is, the halves tell.
        let before = match error.position() {
            Some(position) => events.partition_point(|event| event.position < position),
            None => events.len() / 2,
        };
        let (first, rest) = events.split_at(before);
        let Some(blamed) = rest.first() else { return Err(Error::Rows(error)) };
        let mut at = from;
        if blamed.position - 1 > from.position {
            match advance_to(pool, definition, from, first, blamed.position - 1).await? {
                Advanced::To(reached) => at = reached,
                Advanced::Elsewhere => return Ok(Advanced::Elsewhere),
            }
        }
        if error.position().is_some() || events.len() == 1 {
            let (position, event_id) = (blamed.position, blamed.event_id);
            return Err(Error::Event { position, event_id, source: error });
        }
        advance_to(pool, definition, at, rest, upto).await
    }
    .boxed()
}

async fn commit(
    pool: &PgPool,
    definition: &'static Definition,
    from: Build,
    events: &[RecordedEvent],
    upto: u64,
) -> Result<Advanced, Error> {
    match try_commit(pool, definition, from, events, upto, Existing::None).await {
        Err(Error::Rows(row::Error::Repeated { .. })) => {
            try_commit(pool, definition, from, events, upto, Existing::Unknown).await
        }
        other => other,
    }
}

async fn try_commit(
    pool: &PgPool,
    definition: &'static Definition,
    from: Build,
    events: &[RecordedEvent],
    upto: u64,
    existing: Existing,
) -> Result<Advanced, Error> {
    let mut transaction = pool.begin().await.map_err(Error::Checkpoint)?;
    let found = builds::lock(&mut transaction, definition, from.state).await.map_err(Error::Checkpoint)?;
    if found != Some(from) {
        return Ok(Advanced::Elsewhere);
    }
    let applied = caught((definition.apply)(&mut transaction, events, existing)).await;
    applied.unwrap_or_else(|message| Err(row::Error::Panicked { message })).map_err(Error::Rows)?;
    builds::advance(&mut transaction, definition, from.state, upto).await.map_err(Error::Checkpoint)?;
    failpoints::APPLIED.reach();
    // A lost answer to the commit is an error here and no loss: the next read of the checkpoint tells.
    transaction.commit().await.map_err(Error::Checkpoint)?;
    failpoints::COMMITTED.reach();
    Ok(Advanced::To(Build { position: upto, ..from }))
}

/// Rests before the next try.
pub(crate) async fn pause(rest: Duration, stop: &CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = tokio::time::sleep(rest) => {}
    }
}
