//! The shell around `nsl_domain::reaction`: follows the log, remembers open jobs, publishes them, publishes again what
//! stays without outcome. Job ids follow from events, so a repeat is the same job, and all of this may happen twice.

mod memory;
mod prepare;

use std::sync::Arc;
use std::time::Duration;

use nsl_bus::Bus;
use nsl_domain::reaction::{Effect, effects};
use nsl_event_store::{EventReader, Filter, Page, ReadError, RecordedEvent, Subscription};
use nsl_schemas::event::DecodeError;
use nsl_schemas::event::wallet::WalletEvent;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::directory::Directory;
use crate::metrics::CommandMetrics;
pub(crate) use memory::migrate;
use memory::{Memory, OpenJob};
use prepare::Preparer;

/// Events read at once.
const PAGE_EVENTS: u32 = 500;
/// Rest after a page: what is committed meanwhile is one page and not one each. It is the most that a job waits here, and
/// short beside the block that a transfer waits for.
const REST: Duration = Duration::from_millis(5);
/// Open jobs published again at once; more wait for the next round.
const REPUBLISH_MAX: i64 = 500;
/// How often overdue jobs are looked for.
const REPUBLISH_TICK: Duration = Duration::from_secs(1);
/// Pause after a failure; the log or the bus is away.
const RETRY: Duration = Duration::from_millis(500);

/// What the reactor works with.
pub(crate) struct Reactor {
    /// The log.
    pub reader: EventReader,
    /// NATS.
    pub bus: Bus,
    /// Grants.
    pub directory: Arc<Directory>,
    /// Counts.
    pub metrics: CommandMetrics,
    /// The database of the memory.
    pub pool: sqlx::PgPool,
    /// Age at which an open job is published again.
    pub republish_after: Duration,
}

/// Why a round failed; it is tried again from the checkpoint.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the log cannot be read")]
    Read(#[from] ReadError),
    #[error("the reactor's memory cannot be read or written")]
    Memory(#[from] sqlx::Error),
    #[error("event at position {position} cannot be read")]
    Event {
        position: u64,
        #[source]
        source: DecodeError,
    },
    #[error("job cannot be prepared")]
    Prepare(#[from] prepare::Error),
    #[error("job cannot be published")]
    Publish(#[from] async_nats::jetstream::context::PublishError),
}

impl Reactor {
    /// Works until `stop`. Only one reactor of all processors is at work; the others wait for its lock.
    pub(crate) async fn run(self, mut wake: watch::Receiver<u64>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.work(&mut wake, &stop).await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "reactor begins again from its checkpoint"
                );
                tokio::select! {
                    () = tokio::time::sleep(RETRY) => {}
                    () = stop.cancelled() => {}
                }
            }
        }
    }

    async fn work(&self, wake: &mut watch::Receiver<u64>, stop: &CancellationToken) -> Result<(), Error> {
        let Some(mut memory) = Memory::lock(&self.pool, stop).await? else { return Ok(()) };
        let mut preparer = Preparer::new(self.reader.clone(), Arc::clone(&self.directory));
        let filter = Filter { aggregate_type: Some("wallet".to_owned()), ..Filter::default() };
        let mut subscription =
            Subscription::new(self.reader.clone(), memory.checkpoint().await?, filter, PAGE_EVENTS);
        let mut overdue = tokio::time::interval(REPUBLISH_TICK);
        overdue.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = overdue.tick() => self.republish(&mut memory, &mut preparer).await?,
                page = subscription.next_page(wake) => {
                    self.react(&mut memory, &mut preparer, page?).await?;
                    tokio::time::sleep(REST).await;
                }
            }
        }
    }

    /// Remembers what a page opens and closes, then publishes what it opened. A crash in between leaves the jobs open,
    /// and they are published when they are overdue.
    async fn react(&self, memory: &mut Memory, preparer: &mut Preparer, page: Page) -> Result<(), Error> {
        let mut opened: Vec<OpenJob> = Vec::new();
        let mut closed = Vec::new();
        for event in &page.events {
            let wallet_event: WalletEvent = event
                .stored()
                .decode()
                .map_err(|source| Error::Event { position: event.position, source })?;
            for effect in effects(&wallet_event) {
                match effect {
                    Effect::Opens { request_id, kind } => {
                        opened.push(OpenJob { request_id, kind: kind.to_owned(), position: event.position });
                    }
                    Effect::Closes { request_id, kind } => {
                        let before = opened.len();
                        opened.retain(|job| job.request_id != request_id || job.kind != kind);
                        if opened.len() == before {
                            closed.push((request_id, kind));
                        }
                    }
                }
            }
            preparer.observe(event, wallet_event);
        }
        memory.record(&opened, &closed, page.position).await?;
        self.publish(preparer, &opened, &page.events).await?;
        let lag = i64::try_from(page.head.saturating_sub(page.position)).unwrap_or(i64::MAX);
        self.metrics.reactor_lag.with_label_values::<&str>(&[]).set(lag);
        Ok(())
    }

    async fn republish(&self, memory: &mut Memory, preparer: &mut Preparer) -> Result<(), Error> {
        let jobs = memory.take_overdue(self.republish_after, REPUBLISH_MAX).await?;
        if !jobs.is_empty() {
            tracing::info!(jobs = jobs.len(), "publishing jobs without outcome again");
        }
        self.publish(preparer, &jobs, &[]).await
    }

    async fn publish(
        &self,
        preparer: &mut Preparer,
        jobs: &[OpenJob],
        at_hand: &[RecordedEvent],
    ) -> Result<(), Error> {
        let mut acknowledgements = Vec::with_capacity(jobs.len());
        for prepared in preparer.prepare(jobs, at_hand).await? {
            self.metrics.jobs.with_label_values(&[prepared.kind]).inc();
            acknowledgements
                .push(self.bus.jetstream().publish(prepared.subject, prepared.payload.into()).await?);
        }
        for acknowledgement in acknowledgements {
            acknowledgement.await?;
        }
        Ok(())
    }
}
