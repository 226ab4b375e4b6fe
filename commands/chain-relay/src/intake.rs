//! Takes jobs from the work queue and holds each, with signs of life, until its end is recorded.
//!
//! The consumer bounds how many are held: the server delivers no more than may await acknowledgement.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::jetstream::{AckKind, Message};
use futures::StreamExt as _;
use nsl_bus::consumer::{Start, State};
use nsl_bus::{Bus, Consumer, ConsumerDefinition, DriftPolicy, streams as definitions};
use nsl_schemas::job::{SUBMIT_KIND, SubmitJob};
use nsl_schemas::{streams, subject};
use nsl_telemetry::Shutdown;
use nsl_telemetry::readiness::Gate;

use crate::config::RelayConfig;
use crate::job::{self, Job};
use crate::metrics::Metrics;
use crate::relay::{End, Relay};
use crate::report::{Recorded, Reporter};
use crate::watchlist::{Entered, Watch, Watchlist};

/// The durable name, shared by every relay of a log.
const CONSUMER: &str = "chain-relay";

/// Where jobs go that no relay can read.
const PARKED_SUBJECT: &str = "nsl.v1.parked.job.submit-transaction";

/// Jobs asked of the server at once.
const BATCH_MAX: u32 = 256;

/// Signs of life in the time after which a job would be given to another relay: two may be lost.
const SIGNS_PER_ACK_WAIT: u32 = 3;

/// Wait before the queue is opened again.
const REOPEN_WAIT: Duration = Duration::from_secs(1);

/// Copies of a stream: one node until a cluster's operator says otherwise.
const REPLICAS: u8 = 1;

/// Takes jobs.
pub(crate) struct Intake {
    pub(crate) bus: Bus,
    pub(crate) config: RelayConfig,
    pub(crate) watchlist: Watchlist,
    pub(crate) relay: Relay,
    pub(crate) reporter: Reporter,
    pub(crate) metrics: Metrics,
    pub(crate) shutdown: Shutdown,
    /// Open while the queue is.
    pub(crate) gate: Gate,
}

impl Intake {
    /// Takes jobs until the service stops; a queue that was lost with its server is made again.
    pub(crate) async fn run(self: Arc<Self>) {
        let stop = self.shutdown.token().clone();
        loop {
            if let Some(Err(error)) = stop.run_until_cancelled(Box::pin(self.take_all())).await {
                self.gate.close(error.to_string());
                tracing::warn!(error = &*error as &dyn StdError, "job queue lost, opening it again");
            }
            if stop.run_until_cancelled(tokio::time::sleep(REOPEN_WAIT)).await.is_none() {
                return;
            }
        }
    }

    async fn take_all(self: &Arc<Self>) -> Result<Infallible, async_nats::Error> {
        let consumer = self.open().await?;
        let batch = usize::try_from(self.config.watched_jobs_max.get().min(BATCH_MAX))?;
        let mut messages = consumer.stream().max_messages_per_batch(batch).messages().await?;
        self.gate.open();
        while let Some(message) = messages.next().await {
            let (intake, message) = (Arc::clone(self), message?);
            self.shutdown.spawn("job", async move {
                intake.hold(&message).await;
                Ok::<(), Infallible>(())
            });
        }
        Err("the stream of jobs ended".into())
    }

    async fn open(&self) -> Result<Consumer, async_nats::Error> {
        for definition in [definitions::jobs(REPLICAS), definitions::parked(REPLICAS)] {
            self.bus.ensure_stream(&definition, DriftPolicy::Update).await?;
        }
        let definition = ConsumerDefinition {
            stream: streams::JOBS.to_owned(),
            name: CONSUMER.to_owned(),
            filter_subject: subject::job(SUBMIT_KIND, ">"),
            start: Start::All,
            ack_wait_ms: self.config.ack_wait_ms.get(),
            max_deliver: None,
            max_ack_pending: self.config.watched_jobs_max.get(),
            state: State::AsStream,
        };
        Ok(self.bus.ensure_consumer(&definition, DriftPolicy::Update).await?.0)
    }

    /// Holds one message until it can be acknowledged or given back.
    async fn hold(&self, message: &Message) {
        let answer = tokio::select! {
            answer = self.answer(message) => answer,
            never = self.show_life(message) => match never {},
        };
        // A lost acknowledgement brings the job again, and its end is found recorded.
        if let Some(kind) = answer
            && let Err(error) = message.ack_with(kind).await
        {
            tracing::warn!(error = &*error as &dyn StdError, "job could not be acknowledged");
        }
    }

    async fn show_life(&self, message: &Message) -> Infallible {
        let interval = Duration::from_millis(self.config.ack_wait_ms.get()) / SIGNS_PER_ACK_WAIT;
        loop {
            tokio::time::sleep(interval).await;
            if let Err(error) = message.ack_with(AckKind::Progress).await {
                tracing::warn!(error = &*error as &dyn StdError, "sign of life could not be sent");
            }
        }
    }

    /// Does what a message asks; `None` leaves it to be delivered again.
    async fn answer(&self, message: &Message) -> Option<AckKind> {
        let job = match Job::read(&message.payload) {
            Ok(job) => job,
            Err(error) => return self.park(message, &error).await,
        };
        let sequence = message.info().ok()?.stream_sequence;
        match self.watchlist.enter(job.hash, job.order.job_id, sequence) {
            Entered::New(watch) => Some(self.see_through(&job, watch).await),
            Entered::Redelivered => None,
            Entered::Copy => Some(AckKind::Ack),
            Entered::Taken { job_id } => {
                tracing::error!(job.id = %job.order.job_id, other.id = %job_id, "two jobs are about one transaction");
                None
            }
        }
    }

    async fn see_through(&self, job: &Job, mut watch: Watch) -> AckKind {
        let taken = Instant::now();
        let Some(end) = self.relay.follow(job, &mut watch.sightings).await else { return AckKind::Nak(None) };
        match self.report(&job.order, &end).await {
            Some(recorded) => {
                self.metrics.reported(outcome(&end, &recorded), taken.elapsed());
                AckKind::Ack
            }
            None => AckKind::Nak(None),
        }
    }

    /// Reports until it is decided; `None` when the service stops before.
    async fn report(&self, job: &SubmitJob, end: &End) -> Option<Recorded> {
        let mut failures = 0_u32;
        loop {
            match self.reporter.report(job, end).await {
                Ok(recorded) => {
                    if let Recorded::Never { code, message } = &recorded {
                        self.metrics.report_failed(code);
                        tracing::error!(job.id = %job.job_id, code, message, ?end, "report rejected for ever");
                    } else {
                        tracing::info!(job.id = %job.job_id, tx.hash = job.tx_hash, ?end, ?recorded, "reported");
                    }
                    return Some(recorded);
                }
                Err(error) => {
                    self.metrics.report_failed(error.code());
                    tracing::warn!(job.id = %job.job_id, error = &error as &dyn StdError, "report not taken");
                    failures = failures.saturating_add(1);
                    self.relay.wait(failures).await?;
                }
            }
        }
    }

    async fn park(&self, message: &Message, error: &job::Error) -> Option<AckKind> {
        let parked = self.bus.jetstream().publish(PARKED_SUBJECT, message.payload.clone()).await;
        let parked = match parked {
            Ok(acknowledgement) => acknowledgement.await,
            Err(error) => Err(error),
        };
        match parked {
            Ok(_) => {
                self.metrics.parked();
                tracing::error!(error = error as &dyn StdError, "job parked on {PARKED_SUBJECT}");
                Some(AckKind::Ack)
            }
            Err(failure) => {
                tracing::warn!(error = &failure as &dyn StdError, "unreadable job could not be parked");
                None
            }
        }
    }
}

fn outcome(end: &End, recorded: &Recorded) -> &'static str {
    use nsl_schemas::command::wallet::VmState;
    match (recorded, end) {
        (Recorded::Never { .. }, _) => "rejected",
        (Recorded::Before, _) => "repeated",
        (Recorded::Now, End::Confirmed(confirmation)) => match confirmation.vm_state {
            VmState::Halt => "confirmed",
            VmState::Fault => "faulted",
        },
        (Recorded::Now, End::Expired(_)) => "expired",
    }
}
