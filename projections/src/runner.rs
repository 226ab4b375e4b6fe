//! Runs one read model: pages of the log become rows, committed with the checkpoint in one transaction.
//!
//! An event that cannot be applied is never skipped: what is before it is committed, then this read model stops, and
//! only this one, until a restart or a rebuild. Several processes may run the same: the checkpoint's lock lets one write
//! at a time, and the other continues from where that one came to.

use nsl_event_store::{EventReader, Page, ReadError, RecordedEvent, Subscription};
use sqlx::postgres::PgPool;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::checkpoint::{self, Checkpoint};
use crate::failpoints;
use crate::progress::{Progress, RETRY_PAUSE, described};
use crate::read_model::ReadModel;
use crate::row;

/// Events of one page: enough that a rebuild spends its time in Postgres and not on the way there, few enough that a
/// page's rows are small in memory.
pub(crate) const PAGE_EVENTS: u32 = 500;

/// Why a read model does not get on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log cannot be read.
    #[error("log cannot be read")]
    Log(#[from] ReadError),
    /// The checkpoint cannot be read or written.
    #[error("checkpoint cannot be read or written")]
    Checkpoint(#[source] sqlx::Error),
    /// Events cannot be applied.
    #[error(transparent)]
    Apply(#[from] row::Error),
    /// The log ends before the checkpoint: it was restored to an earlier state than the read model has seen.
    #[error("read model is at position {position}, but the log ends at {head}: rebuild it")]
    AheadOfLog {
        /// The checkpoint.
        position: u64,
        /// The log's head.
        head: u64,
    },
}

impl Error {
    /// Whether trying again may help.
    fn may_pass(&self) -> bool {
        match self {
            Self::Log(error) => !matches!(error, ReadError::Corrupt { .. }),
            Self::Checkpoint(_) => true,
            Self::Apply(error) => matches!(error, row::Error::Unavailable { .. }),
            Self::AheadOfLog { .. } => false,
        }
    }
}

/// What became of a page.
#[derive(Debug)]
pub(crate) enum Advanced {
    /// It is committed.
    To(Checkpoint),
    /// Somebody else moved the checkpoint; nothing was written.
    Elsewhere,
}

/// Runs one read model.
#[derive(Debug)]
pub struct Runner {
    /// Which.
    pub model: ReadModel,
    /// The log.
    pub log: EventReader,
    /// The live schema.
    pub pool: PgPool,
    /// Where it shows how far it is.
    pub progress: Progress,
}

impl Runner {
    /// Follows the log until `stop`; what was taken is finished.
    pub async fn run(self, mut wake: watch::Receiver<u64>, stop: CancellationToken) {
        let mut at = Checkpoint::default();
        while !stop.is_cancelled() {
            let Err(error) = self.follow(&mut at, &mut wake, &stop).await else { continue };
            let reason = described(&error);
            let projection = self.model.name();
            if error.may_pass() {
                tracing::warn!(projection, reason, "projection waits");
                self.progress.blocked(&reason, None, None);
                pause(&stop).await;
            } else {
                tracing::error!(
                    projection,
                    reason,
                    "projection stopped; mend the cause, then restart or rebuild"
                );
                self.wait_for_rebuild(&reason, at.generation, &stop).await;
            }
        }
    }

    /// Follows from the checkpoint on until `stop`, or until somebody else moves the checkpoint.
    async fn follow(
        &self,
        at: &mut Checkpoint,
        wake: &mut watch::Receiver<u64>,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        *at = checkpoint::load(&self.pool, self.model.name()).await.map_err(Error::Checkpoint)?;
        let head = self.log.head().await?;
        if head < at.position {
            return Err(Error::AheadOfLog { position: at.position, head });
        }
        self.progress.at(at.position, head);
        let mut subscription =
            Subscription::new(self.log.clone(), at.position, self.model.filter(), PAGE_EVENTS);
        loop {
            let page = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                page = subscription.next_page(wake) => page?,
            };
            match advance(&self.pool, self.model, *at, &page).await? {
                Advanced::To(reached) => *at = reached,
                Advanced::Elsewhere => return Ok(()),
            }
            self.progress.at(at.position, page.head);
        }
    }

    /// Shows why it stopped until a rebuild replaces the rows of this generation.
    async fn wait_for_rebuild(&self, reason: &str, generation: i64, stop: &CancellationToken) {
        let projection = self.model.name();
        let mut recorded = false;
        while !stop.is_cancelled() {
            // A database that does not answer now is asked again; the reason to stop remains the first one.
            let found = checkpoint::load(&self.pool, projection).await.ok();
            let position = found.map(|found| found.position);
            self.progress.blocked(reason, position, self.log.head().await.ok());
            if found.is_some_and(|found| found.generation != generation) {
                tracing::info!(projection, position, "projection was rebuilt and goes on");
                return;
            }
            if !recorded {
                recorded = checkpoint::record_stop(&self.pool, projection, reason).await.is_ok();
            }
            pause(stop).await;
        }
    }
}

/// Commits a page on top of the checkpoint `from`. Where one of its events cannot be applied, commits what is before
/// that event and answers the error.
pub(crate) async fn advance(
    pool: &PgPool,
    model: ReadModel,
    from: Checkpoint,
    page: &Page,
) -> Result<Advanced, Error> {
    let mut upto = page.position;
    let mut failure = None;
    while upto > from.position {
        let events = page.events.partition_point(|event| event.position <= upto);
        match commit(pool, model, from, &page.events[..events], upto).await {
            Err(Error::Apply(error)) if error.position().is_some_and(|position| position <= upto) => {
                upto = error.position().unwrap_or(upto).saturating_sub(1);
                failure = Some(error);
            }
            Ok(Advanced::To(_)) if failure.is_some() => break,
            other => return other,
        }
    }
    failure.map_or(Ok(Advanced::To(from)), |error| Err(error.into()))
}

async fn commit(
    pool: &PgPool,
    model: ReadModel,
    from: Checkpoint,
    events: &[RecordedEvent],
    upto: u64,
) -> Result<Advanced, Error> {
    let mut transaction = pool.begin().await.map_err(Error::Checkpoint)?;
    let found = checkpoint::lock(&mut transaction, model.name()).await.map_err(Error::Checkpoint)?;
    if found != from {
        return Ok(Advanced::Elsewhere);
    }
    model.apply(&mut transaction, events).await?;
    checkpoint::advance(&mut transaction, model.name(), upto).await.map_err(Error::Checkpoint)?;
    failpoints::APPLIED.reach();
    // A lost answer to the commit is an error here and no loss: the next read of the checkpoint tells.
    transaction.commit().await.map_err(Error::Checkpoint)?;
    failpoints::COMMITTED.reach();
    Ok(Advanced::To(Checkpoint { position: upto, ..from }))
}

/// Rests before the next try.
pub(crate) async fn pause(stop: &CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = tokio::time::sleep(RETRY_PAUSE) => {}
    }
}
