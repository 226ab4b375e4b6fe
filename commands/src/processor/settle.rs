//! What follows an append: answers after the commit, or decisions made again.

use nsl_event_store::{AppendError, Appended, Receipt, Refusal};
use nsl_schemas::errors;
use nsl_schemas::result::{Answer, CommandResult};

use super::{BACKOFF_FIRST, Processor, Taken, Unavailable, Waiting};
use crate::answers::of_receipt;
use crate::batch::Batch;
use crate::directory::Directory;
use crate::failpoints;
use crate::intake::Refused;
use crate::ports::{Delivery, Log, Outbox};

impl<L: Log, O: Outbox, D: Delivery> Processor<L, O, D> {
    /// Takes in what became of the batch that was being committed.
    pub(super) async fn settle(&mut self, outcome: Result<Appended, AppendError>) -> Result<(), Unavailable> {
        let Some(commit) = self.committing.take() else { return Ok(()) };
        let mut batch = commit.batch;
        match outcome {
            Ok(appended) => {
                self.committed(batch, appended).await;
                Ok(())
            }
            Err(AppendError::Refused(refusal)) => {
                self.step_back(&refusal);
                batch.taken.retain(|taken| !refusal.lost.contains(&taken.fence));
                self.decide_again(batch);
                Ok(())
            }
            Err(error @ (AppendError::Invalid(_) | AppendError::Rejected { .. })) => {
                self.isolate(batch, &error).await;
                Ok(())
            }
            Err(error) => {
                // It may be recorded after all, and then its receipts answer it; the states before it are outdated.
                self.open.extend(batch.taken.iter().map(|taken| (taken.command_id(), taken.fence)));
                for key in batch.states.keys() {
                    self.cache.pop(key);
                }
                self.decide_again(batch);
                Err(Unavailable::Append(error))
            }
        }
    }

    /// The batch counts from here on. The next one leaves for the log before this one's clients hear.
    async fn committed(&mut self, batch: Batch<D>, appended: Appended) {
        failpoints::PROCESSOR_COMMITTED.reach();
        self.parts.log_gate.open();
        self.backoff = BACKOFF_FIRST;
        self.isolated = self.isolated.saturating_sub(batch.taken.len());
        self.open.retain(|id, _| !batch.ids.contains(id));
        let elapsed = batch.started.elapsed().as_secs_f64();
        self.parts.metrics.commit_seconds.with_label_values::<&str>(&[]).observe(elapsed);
        let follows = batch.states.keys().any(|key| Directory::FOLLOWED.contains(&key.aggregate_type));
        for (key, leased) in batch.states {
            let before = self.cache.peek(&key).map_or(leased.state.version, |known| known.state.version);
            self.parts.log.keep(&key, &leased.state, before);
            self.cache.put(key, leased);
        }
        self.submit();
        if follows {
            self.learn().await;
        }
        self.answer(batch.taken, &batch.event_counts, batch.answers, appended).await;
    }

    /// A grant or a worker counts from its commit on, for the very next command. When the log is away, the follower
    /// learns it a little later.
    async fn learn(&self) {
        if let Err(error) = crate::follower::catch_up(&self.parts.log, &self.parts.directory).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "grants are learnt later");
        }
    }

    /// The planted fault: clients and bus are told before the commit, and then there is none.
    #[cfg(feature = "failpoints")]
    pub(super) async fn answer_before_commit(&mut self) {
        if self.gathered.taken.is_empty() || !failpoints::ACK_BEFORE_COMMIT.is_armed() {
            return;
        }
        let batch = std::mem::replace(&mut self.gathered, Batch::new());
        let nowhere = Appended { first_position: 1, recorded_at_ms: 0 };
        self.answer(batch.taken, &batch.event_counts, batch.answers, nowhere).await;
        self.parts.outbox.flush().await;
        std::process::abort();
    }

    /// Tells every client, then the bus, then the readers.
    async fn answer(
        &self,
        taken: Vec<Taken<D>>,
        event_counts: &[u32],
        answers: Vec<Answer>,
        appended: Appended,
    ) {
        let mut position = appended.first_position;
        for ((taken, answer), event_count) in taken.into_iter().zip(answers).zip(event_counts) {
            let outcome = match answer {
                Answer::Accepted { .. } => "accepted",
                Answer::Rejected { .. } => "rejected",
            };
            let result = CommandResult {
                command_id: taken.command_id(),
                first_position: position,
                event_count: *event_count,
                answer,
            };
            position += u64::from(*event_count);
            self.parts.outbox.result(&taken.incoming.subject.tenant, &result).await;
            failpoints::PROCESSOR_ANSWERED.reach();
            self.finish(&taken, outcome).await;
            failpoints::PROCESSOR_ACKNOWLEDGED.reach();
        }
        self.parts.outbox.head(position - 1).await;
    }

    /// The batch and the one that rests on it wait again, in their order.
    fn decide_again(&mut self, batch: Batch<D>) {
        let gathered = std::mem::replace(&mut self.gathered, Batch::new());
        let taken = batch.taken.into_iter().chain(gathered.taken);
        self.wait_again(taken.map(|taken| Waiting { taken, may_be_known: true }).collect());
    }

    /// The log refused the batch and wrote nothing: forget what is stale, and leave what is lost to its new owner. The
    /// rest is decided again, or is known and answered from its receipt.
    fn step_back(&mut self, refusal: &Refusal) {
        let Refusal { known, stale, lost } = refusal;
        let count = |reason: &str, count: usize| {
            self.parts.metrics.conflicts.with_label_values(&[reason]).inc_by(count as u64);
        };
        count("known", known.len());
        count("stale", stale.len());
        count("lost", lost.len());
        // States were decided on a copy, so only what others wrote is wrong here.
        let is_stale = |key: &crate::aggregates::StreamKey| {
            stale
                .iter()
                .any(|one| one.aggregate_type == key.aggregate_type && one.aggregate_id == key.aggregate_id)
        };
        let forgotten: Vec<_> =
            self.cache.iter().map(|(key, _)| key).filter(|key| is_stale(key)).cloned().collect();
        for key in &forgotten {
            self.cache.pop(key);
        }
        self.backlog.retain(|waiting| !lost.contains(&waiting.taken.fence));
        self.gathered.taken.retain(|taken| !lost.contains(&taken.fence));
        self.copies.retain(|taken| !lost.contains(&taken.fence));
        self.refusals.retain(|(taken, _)| !lost.contains(&taken.fence));
    }

    /// Finds the command whose data the log cannot take: in company it is tried alone next, alone it is refused.
    async fn isolate(&mut self, mut batch: Batch<D>, error: &AppendError) {
        if batch.taken.len() > 1 {
            self.isolated = batch.taken.len();
            self.decide_again(batch);
            return;
        }
        self.isolated = self.isolated.saturating_sub(1);
        let culprits = std::mem::take(&mut batch.taken);
        self.decide_again(batch);
        for taken in culprits {
            tracing::error!(
                command.id = %taken.command_id(),
                error = error as &dyn std::error::Error,
                "the log cannot take this command"
            );
            let no = taken.incoming.refuse(errors::PAYLOAD_INVALID, "the log cannot hold this command");
            self.refuse(taken, &no).await;
        }
    }

    /// Answers a command that the log has, as it was answered first.
    pub(super) async fn repeat(&self, taken: Taken<D>, receipt: &Receipt) {
        match of_receipt(&taken.incoming, receipt) {
            Ok(result) => {
                self.parts.outbox.result(&taken.incoming.subject.tenant, &result).await;
                self.finish(&taken, "repeated").await;
            }
            Err(no) => self.refuse(taken, &no).await,
        }
    }

    /// Answers a command that nothing records.
    pub(super) async fn refuse(&self, taken: Taken<D>, no: &Refused) {
        self.parts.outbox.refusal(&taken.incoming.subject.tenant, no, taken.sequence).await;
        self.finish(&taken, "refused").await;
    }

    async fn finish(&self, taken: &Taken<D>, outcome: &str) {
        let aggregate = match taken.incoming.subject.aggregate.as_str() {
            known @ ("authority" | "price-feed" | "sealing" | "wallet" | "worker") => known,
            _ => "unknown",
        };
        self.parts.metrics.commands.with_label_values(&[aggregate, outcome]).inc();
        if let Err(error) = taken.message.acknowledge().await {
            tracing::warn!(%error, "acknowledgement was not sent; the command comes again and is answered again");
        }
    }
}
