//! The consumer of one held partition (D6). Every stay begins with a new one: otherwise later messages would overtake
//! those that a dead owner left unacknowledged.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Message;
use futures::StreamExt as _;
use nsl_bus::consumer::{Start, State, messages};
use nsl_bus::{Bus, Consumer, ConsumerDefinition, headers};
use nsl_schemas::streams;
use nsl_schemas::subject::{self, CommandSubject};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::answers::Answers;
use crate::failpoints;
use crate::intake::{self, Refused};
use crate::metrics::CommandMetrics;
use crate::ports::{Delivery, Outbox as _};
use crate::processor::Taken;
use crate::tenure::Tenure;

/// Unacknowledged commands of one partition: with 64 partitions, 16,384 in all, twice what a second can commit.
const PENDING_MAX: u32 = 256;
/// Commands asked of the server at once: all that may be unacknowledged.
const FETCH_MAX: usize = PENDING_MAX as usize;
/// After this long without acknowledgement a message comes again; far above the longest wait for the log.
const ACK_WAIT_MS: u64 = 120_000;
/// Longest header that is read: a signature has 88 characters.
const HEADER_BYTES_MAX: usize = 256;
/// Pause before a consumer that failed is made again.
const RETRY: Duration = Duration::from_millis(250);

/// A message with its partition's stay here. The stay is shared until the command is settled, so that the partition is
/// not given back before.
#[derive(Debug)]
pub(crate) struct Delivered {
    message: Message,
    tenure: Arc<Tenure>,
}

impl Delivery for Delivered {
    fn is_repeat(&self) -> bool {
        self.message.info().is_ok_and(|info| info.delivered > 1)
    }

    fn is_held(&self) -> bool {
        self.tenure.is_held()
    }

    fn give_up_partition(&self) {
        self.tenure.end();
    }

    async fn acknowledge(&self) -> Result<(), async_nats::Error> {
        self.message.ack().await
    }
}

/// What a partition's consumer works with.
#[derive(Clone)]
pub(crate) struct Intake {
    /// NATS.
    pub bus: Bus,
    /// To the processor.
    pub queue: mpsc::Sender<Taken<Delivered>>,
    /// To clients.
    pub answers: Answers,
    /// Counts.
    pub metrics: CommandMetrics,
}

impl Intake {
    /// Takes a partition's commands in order until told to stop or until the partition is another's. A consumer that
    /// ends, by a restart of the bus or because its stream was deleted, is made again: what was not acknowledged then
    /// comes again behind what is still queued, and receipts absorb the repeats.
    pub(crate) async fn consume(self: Arc<Self>, tenure: Arc<Tenure>, stop: CancellationToken) {
        // Asked each time: a process that was stopped past its lease must not delete its successor's consumer.
        while tenure.is_held() {
            match stop.run_until_cancelled(self.take_all(&tenure)).await {
                None | Some(Ok(())) => return,
                Some(Err(error)) => {
                    let partition = tenure.fence().partition;
                    tracing::warn!(partition, %error, "consumer ended and is made again");
                    if stop.run_until_cancelled(tokio::time::sleep(RETRY)).await.is_none() {
                        return;
                    }
                }
            }
        }
    }

    async fn take_all(&self, tenure: &Arc<Tenure>) -> Result<(), async_nats::Error> {
        let consumer = self.open(tenure).await?;
        failpoints::CONSUMER_OPENED.reach();
        let mut messages = messages(&consumer, FETCH_MAX).await?;
        while let Some(message) = messages.next().await {
            let message = message?;
            failpoints::CONSUMER_TAKEN.reach();
            if !tenure.is_held() {
                return Ok(());
            }
            let Some(taken) = self.read(message, tenure).await else { continue };
            if self.queue.send(taken).await.is_err() {
                return Ok(());
            }
        }
        Err("the stream of messages ended".into())
    }

    /// The epoch is in the name, so that requests which a former owner still sends reach no consumer at all: messages
    /// that the server gave to a process that drops them would be overtaken by later ones.
    async fn open(&self, tenure: &Tenure) -> Result<Consumer, nsl_bus::consumer::Error> {
        let fence = tenure.fence();
        let family = format!("cmd-{}", fence.partition);
        let definition = ConsumerDefinition {
            stream: streams::COMMANDS.to_owned(),
            name: format!("{family}-{}", fence.epoch),
            filter_subject: subject::command_partition(fence.partition),
            start: Start::All,
            ack_wait_ms: ACK_WAIT_MS,
            max_deliver: None,
            max_ack_pending: PENDING_MAX,
            // It is made anew with every stay, and what was answered is known by its receipt.
            state: State::Memory,
        };
        self.bus.take_over_consumer(&definition, &family).await
    }

    /// A message whose signature holds, or nothing: then it has been answered.
    async fn read(&self, message: Message, tenure: &Arc<Tenure>) -> Option<Taken<Delivered>> {
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
            Ok(incoming) => {
                let fence = tenure.fence();
                let message = Delivered { message, tenure: Arc::clone(tenure) };
                Some(Taken { incoming, fence, message, sequence })
            }
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
