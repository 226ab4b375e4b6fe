//! Which partitions this processor owns, and the consumer of each (D6). Every takeover recreates the consumer before
//! its first fetch: otherwise later messages would overtake those that a dead owner left unacknowledged.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Message;
use async_nats::jetstream::consumer::pull;
use futures::StreamExt as _;
use nsl_bus::consumer::{Start, State};
use nsl_bus::{Bus, ConsumerDefinition, headers};
use nsl_event_store::{EventStore, Fence};
use nsl_schemas::streams;
use nsl_schemas::subject::{self, CommandSubject, PARTITIONS};
use nsl_telemetry::readiness::Gate;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::answers::Answers;
use crate::intake::{self, Refused};
use crate::metrics::CommandMetrics;
use crate::ports::Outbox as _;
use crate::processor::Taken;

/// Unacknowledged commands of one partition: with 64 partitions, 16,384 in all, twice what a second can commit.
const PENDING_MAX: u32 = 256;
/// After this long without acknowledgement a message comes again; far above the longest wait for the log.
const ACK_WAIT_MS: u64 = 120_000;
/// Longest header that is read: a signature has 88 characters.
const HEADER_BYTES_MAX: usize = 256;
/// Pause before a failed fetch is tried again.
const RETRY: Duration = Duration::from_millis(250);

/// What a partition's consumer works with.
#[derive(Clone)]
pub(crate) struct Intake {
    /// NATS.
    pub bus: Bus,
    /// To the processor.
    pub queue: mpsc::Sender<Taken>,
    /// To clients.
    pub answers: Answers,
    /// Counts.
    pub metrics: CommandMetrics,
}

/// Owns leases and the consumers under them.
pub(crate) struct Partitions {
    /// The leases' place.
    pub store: EventStore,
    /// In the leases.
    pub owner: String,
    /// How long a lease lasts without renewal.
    pub lease_ttl: Duration,
    /// What consumers need.
    pub intake: Arc<Intake>,
    /// Open while partitions are held or all are held by others.
    pub gate: Gate,
}

struct Held {
    fence: Fence,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Partitions {
    /// Holds what it can until `stop`, then gives everything back after the consumers have stopped taking.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut held: HashMap<u16, Held> = HashMap::new();
        // Three chances to renew within a lease.
        let mut tick = tokio::time::interval(self.lease_ttl / 3);
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                () = stop.cancelled() => break,
            }
            if let Err(error) = self.renew(&mut held).await {
                self.gate.close(error.to_string());
                tracing::warn!(error = &error as &dyn std::error::Error, "leases cannot be renewed");
                continue;
            }
            self.gate.open();
            let count = i64::try_from(held.len()).unwrap_or(i64::MAX);
            self.intake.metrics.partitions.with_label_values::<&str>(&[]).set(count);
        }
        let fences: Vec<_> = held.values().map(|one| one.fence).collect();
        for (_, one) in held {
            one.stop.cancel();
            if let Err(error) = one.task.await {
                tracing::error!(error = &error as &dyn std::error::Error, "a partition's consumer failed");
            }
        }
        // The processor drains the queue before the process ends; what it commits after the release would be refused,
        // so the leases are left to run out if anything is still queued.
        if self.intake.queue.capacity() == self.intake.queue.max_capacity()
            && let Err(error) = self.store.release_partitions(&self.owner, &fences).await
        {
            tracing::warn!(error = &error as &dyn std::error::Error, "leases run out by themselves");
        }
    }

    async fn renew(&self, held: &mut HashMap<u16, Held>) -> Result<(), nsl_event_store::LeaseError> {
        let fences: Vec<_> = held.values().map(|one| one.fence).collect();
        let renewed = self.store.renew_partitions(&self.owner, &fences, self.lease_ttl).await?;
        held.retain(|partition, one| {
            // A consumer that ended lost its partition too: it begins again by a takeover.
            let keeps = renewed.contains(&one.fence) && !one.task.is_finished();
            if !keeps {
                tracing::warn!(partition, "lease lost");
                one.stop.cancel();
            }
            keeps
        });
        let wanted: Vec<u16> = (0..PARTITIONS).filter(|partition| !held.contains_key(partition)).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        for fence in self.store.take_partitions(&self.owner, &wanted, self.lease_ttl).await? {
            let stop = CancellationToken::new();
            let task = tokio::spawn(Arc::clone(&self.intake).consume(fence, stop.clone()));
            held.insert(fence.partition, Held { fence, stop, task });
        }
        Ok(())
    }
}

impl Intake {
    /// Takes a partition's commands in order until told to stop or until its consumer is gone.
    async fn consume(self: Arc<Self>, fence: Fence, stop: CancellationToken) {
        let definition = ConsumerDefinition {
            stream: streams::COMMANDS.to_owned(),
            name: format!("cmd-{}", fence.partition),
            filter_subject: subject::command_partition(fence.partition),
            start: Start::All,
            ack_wait_ms: ACK_WAIT_MS,
            max_deliver: None,
            max_ack_pending: PENDING_MAX,
            // Every takeover makes it anew, and what was answered is known by its receipt.
            state: State::Memory,
        };
        let consumer = loop {
            match self.bus.recreate_consumer(&definition).await {
                Ok(consumer) => break consumer,
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "consumer cannot be made");
                    tokio::select! {
                        () = tokio::time::sleep(RETRY) => {}
                        () = stop.cancelled() => return,
                    }
                }
            }
        };
        if let Err(error) = self.take_all(&consumer, fence, &stop).await {
            tracing::warn!(partition = fence.partition, %error, "consumer ended; the partition is taken over again");
        }
    }

    async fn take_all(
        &self,
        consumer: &nsl_bus::Consumer,
        fence: Fence,
        stop: &CancellationToken,
    ) -> Result<(), async_nats::Error> {
        let mut messages: pull::Stream = consumer.stream().max_messages_per_batch(256).messages().await?;
        loop {
            let message = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                message = messages.next() => message,
            };
            let Some(message) = message else { return Err("the stream of messages ended".into()) };
            let message = message?;
            let Some(taken) = self.read(message, fence).await else { continue };
            if self.queue.send(taken).await.is_err() {
                return Ok(());
            }
        }
    }

    /// A message whose signature holds, or nothing: then it has been answered.
    async fn read(&self, message: Message, fence: Fence) -> Option<Taken> {
        let sequence = message.info().map_or(0, |info| info.stream_sequence);
        let subject = match CommandSubject::parse_partitioned(&message.subject) {
            Ok((_, subject)) => subject,
            Err(error) => {
                let refused = Refused {
                    command_id: None,
                    request_sha256: None,
                    code: nsl_schemas::errors::SUBJECT_INVALID,
                    message: error.to_string(),
                    retry_after_ms: None,
                };
                self.refuse(&message, &nsl_schemas::token::Tenant::system(), &refused, sequence).await;
                return None;
            }
        };
        let tenant = subject.tenant.clone();
        let header = |name: &'static str| {
            headers::optional(message.headers.as_ref(), name, HEADER_BYTES_MAX)
                .map_err(|error| error.to_string())
        };
        match intake::read(subject, header, &message.payload) {
            Ok(incoming) => Some(Taken { incoming, fence, message, sequence }),
            Err(refused) => {
                self.refuse(&message, &tenant, &refused, sequence).await;
                None
            }
        }
    }

    async fn refuse(
        &self,
        message: &Message,
        tenant: &nsl_schemas::token::Tenant,
        refused: &Refused,
        sequence: u64,
    ) {
        self.answers.refusal(tenant, refused, sequence).await;
        self.metrics.commands.with_label_values(&["unread", "refused"]).inc();
        if refused.command_id.is_none() {
            tracing::warn!(sequence, code = refused.code.code, "message parked: {}", refused.message);
            self.metrics.parked.with_label_values::<&str>(&[]).inc();
            self.answers.park(message.payload.clone()).await;
        }
        if let Err(error) = message.ack().await {
            tracing::warn!(%error, "acknowledgement was not sent; the message comes again and is refused again");
        }
    }
}
