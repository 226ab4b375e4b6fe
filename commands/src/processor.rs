//! The command processor: takes what waits, decides it in order, commits it at once, answers after the commit.
//!
//! One batch is under way at a time, so a batch's decisions rest on committed state; what arrives meanwhile is the next
//! batch. Nothing is acknowledged to the bus or answered to a client before its commit (promise 1).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::jetstream::Message;
use futures::stream::{self, StreamExt as _};
use lru::LruCache;
use nsl_domain::decision::Genesis;
use nsl_event_store::{AppendError, Appended, EventStore, Fence, LoadError, ReadError, Receipt, Refusal};
use nsl_schemas::errors;
use nsl_schemas::result::{Answer, CommandResult};
use nsl_schemas::token::Tenant;
use nsl_telemetry::readiness::Gate;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::admission::Admission;
use crate::aggregates::{StreamKey, Versioned};
use crate::answers::{Answers, of_receipt};
use crate::batch::{Admitted, Decided, Workspace};
use crate::clock;
use crate::directory::Directory;
use crate::failpoints;
use crate::intake::{Incoming, Refused};
use crate::metrics::CommandMetrics;
use crate::tenure::Tenure;

/// Streams loaded at once when a batch addresses aggregates that are not in memory: the store's read connections.
const LOADS_AT_ONCE: usize = 4;
/// First wait when the log cannot be reached.
const BACKOFF_FIRST: Duration = Duration::from_millis(50);
/// Longest wait: a recovered database is found within a second.
const BACKOFF_LIMIT: Duration = Duration::from_secs(1);

/// A command with its message, as a partition's consumer hands it on.
#[derive(Debug)]
pub(crate) struct Taken {
    /// The command; its signature holds.
    pub incoming: Incoming,
    /// The lease under which it was taken.
    pub fence: Fence,
    /// To acknowledge.
    pub message: Message,
    /// In the command stream.
    pub sequence: u64,
    /// The partition's stay here; shared until the command is settled, so that the partition is not given back before.
    pub tenure: Arc<Tenure>,
}

/// Everything a processor works with.
pub(crate) struct Processor {
    /// The log.
    pub store: EventStore,
    /// Event 1.
    pub genesis: Arc<Genesis>,
    /// Grants and workers.
    pub directory: Arc<Directory>,
    /// Rates and the checks before a decision.
    pub admission: Admission,
    /// To clients.
    pub answers: Answers,
    /// Committed states, most recently used first, each with the lease under which it is the newest: after another
    /// processor held the partition it may be old, and a rejection, which expects no version, would rest on it.
    pub cache: LruCache<StreamKey, (Fence, Versioned)>,
    /// Counts.
    pub metrics: CommandMetrics,
    /// Closed while the log cannot be reached.
    pub log_gate: Gate,
}

/// The log cannot be reached; nothing was answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unavailable {
    #[error(transparent)]
    Append(AppendError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Directory(#[from] crate::directory::Error),
}

impl Processor {
    /// Works until `stop` is cancelled and the queue is empty or closed.
    pub(crate) async fn run(
        mut self,
        mut queue: mpsc::Receiver<Taken>,
        batch_commands_max: usize,
        stop: CancellationToken,
    ) {
        let mut batch = Vec::with_capacity(batch_commands_max);
        loop {
            let taken = tokio::select! {
                biased;
                taken = queue.recv_many(&mut batch, batch_commands_max) => taken,
                () = stop.cancelled(), if queue.is_empty() && queue.is_closed() => 0,
            };
            if taken == 0 {
                return;
            }
            if !self.commit_until_done(std::mem::take(&mut batch), &stop).await {
                return;
            }
        }
    }

    /// Commits the commands, however long the log is away; false when the service stops meanwhile. Commands that are
    /// not answered then stay on the bus and come again.
    async fn commit_until_done(&mut self, batch: Vec<Taken>, stop: &CancellationToken) -> bool {
        failpoints::PROCESSOR_RECEIVED.reach();
        let started = Instant::now();
        // Commands of a partition that was lost meanwhile are its new owner's to answer, refusals too.
        let (mut open, mut copies) = distinct(batch.into_iter().filter(|taken| taken.tenure.is_held()));
        let mut backoff = BACKOFF_FIRST;
        loop {
            match self.commit_all(&mut open, &mut copies).await {
                Ok(()) if open.is_empty() => {
                    self.log_gate.open();
                    self.metrics
                        .commit_seconds
                        .with_label_values::<&str>(&[])
                        .observe(started.elapsed().as_secs_f64());
                    return true;
                }
                Ok(()) => {}
                Err(error) => {
                    self.log_gate.close(error.to_string());
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        commands = open.len(),
                        "log is unavailable"
                    );
                    tokio::select! {
                        () = tokio::time::sleep(backoff) => backoff = (backoff * 2).min(BACKOFF_LIMIT),
                        () = stop.cancelled() => return false,
                    }
                }
            }
        }
    }

    /// One attempt at everything open; when nothing of it is left, the copies of what was answered are next.
    async fn commit_all(
        &mut self,
        open: &mut Vec<Taken>,
        copies: &mut Vec<Taken>,
    ) -> Result<(), Unavailable> {
        self.commit(open).await?;
        if open.is_empty() && !copies.is_empty() {
            let asked: Vec<Uuid> = copies.iter().map(command_id).collect();
            let receipts = self.store.receipts(&asked).await?;
            self.answer_known(copies, &receipts).await;
            // Copies of what was refused are judged for themselves.
            (*open, *copies) = distinct(std::mem::take(copies));
        }
        Ok(())
    }

    /// One attempt: decides all open commands on committed state and appends them together. What is answered leaves
    /// `open`; a refusal by the log leaves the rest there, to be decided again.
    async fn commit(&mut self, open: &mut Vec<Taken>) -> Result<(), Unavailable> {
        let admitted = self.admit(open).await?;
        if admitted.is_empty() {
            return Ok(());
        }
        failpoints::PROCESSOR_ADMITTED.reach();
        let mut workspace = self.load(&admitted).await?;
        let now_ms = clock::now_ms();
        let mut decided = Vec::with_capacity(admitted.len());
        for command in &admitted {
            decided.push(workspace.decide(command, &self.genesis, &self.directory, now_ms).await);
        }
        let (appends, answers): (Vec<_>, Vec<_>) =
            decided.into_iter().map(|Decided { append, answer }| (append, answer)).unzip();
        #[cfg(feature = "failpoints")]
        if failpoints::ACK_BEFORE_COMMIT.is_armed() {
            let counts = appends.iter().map(|append| append.events.len());
            let nowhere = nsl_event_store::Appended { first_position: 1, recorded_at_ms: 0 };
            self.answer(std::mem::take(open), counts, answers, nowhere).await;
            self.answers.flush().await;
            std::process::abort();
        }
        failpoints::PROCESSOR_DECIDED.reach();
        match self.store.append(&appends).await {
            Ok(appended) => {
                failpoints::PROCESSOR_COMMITTED.reach();
                let fences: HashMap<_, _> =
                    admitted.iter().map(|command| (command.key(), command.fence)).collect();
                for (key, state) in workspace.into_states() {
                    if let Some(fence) = fences.get(&key) {
                        self.cache.put(key, (*fence, state));
                    }
                }
                self.learn(&admitted).await?;
                let counts = appends.iter().map(|append| append.events.len());
                self.answer(std::mem::take(open), counts, answers, appended).await;
                Ok(())
            }
            Err(AppendError::Refused(refusal)) => self.step_back(open, refusal).await,
            Err(error @ (AppendError::Invalid(_) | AppendError::Rejected { .. })) => {
                self.isolate(open, &error).await;
                Ok(())
            }
            Err(error) => Err(Unavailable::Append(error)),
        }
    }

    /// The steps between signature and decision. A command that fails one is answered at once, unless it was committed
    /// before: then its receipt speaks (D5).
    async fn admit(&mut self, open: &mut Vec<Taken>) -> Result<Vec<Admitted>, Unavailable> {
        let now_ms = clock::now_ms();
        // A grant that another processor committed counts here too: nobody is turned away before the log was asked.
        if open.iter().any(|taken| !self.admission.is_authorised(&taken.incoming, &self.directory, now_ms)) {
            crate::follower::refresh(self.store.reader(), &self.directory).await?;
        }
        let mut admitted = Vec::with_capacity(open.len());
        let mut refused = Vec::new();
        let mut redelivered = HashSet::new();
        let mut kept = Vec::with_capacity(open.len());
        for taken in open.drain(..) {
            match self.admission.judge(&taken.incoming, &self.directory, now_ms) {
                Ok(command) => {
                    if taken.message.info().is_ok_and(|info| info.delivered > 1) {
                        redelivered.insert(taken.incoming.signed.envelope.command_id);
                    }
                    admitted.push(Admitted { incoming: taken.incoming.clone(), command, fence: taken.fence });
                    kept.push(taken);
                }
                Err(no) => refused.push((taken, no)),
            }
        }
        *open = kept;
        let asked: Vec<Uuid> =
            refused.iter().map(|(taken, _)| taken).map(command_id).chain(redelivered).collect();
        if asked.is_empty() {
            return Ok(admitted);
        }
        let receipts = match self.store.receipts(&asked).await {
            Ok(receipts) => receipts,
            Err(error) => {
                open.extend(refused.into_iter().map(|(taken, _)| taken));
                open.sort_by_key(|taken| taken.sequence);
                return Err(error.into());
            }
        };
        for (taken, no) in refused {
            match receipts.get(&command_id(&taken)) {
                Some(receipt) => self.repeat(taken, receipt).await,
                None => self.refuse(taken, &no).await,
            }
        }
        self.answer_known(open, &receipts).await;
        admitted.retain(|command| !receipts.contains_key(&command.incoming.signed.envelope.command_id));
        Ok(admitted)
    }

    /// Brings every addressed aggregate's committed state together.
    async fn load(&mut self, admitted: &[Admitted]) -> Result<Workspace, Unavailable> {
        let mut workspace = Workspace::default();
        let mut missing = HashSet::new();
        for (key, fence) in admitted.iter().map(|command| (command.key(), command.fence)) {
            if workspace.contains(&key) {
                continue;
            }
            match self.cache.get(&key) {
                Some((since, state)) if *since == fence => workspace.insert(key, state.clone()),
                _ => drop(missing.insert(key)),
            }
        }
        let reader = self.store.reader();
        let mut loads = stream::iter(missing)
            .map(|key| async move { Versioned::load(reader, &key).await.map(|state| (key, state)) })
            .buffer_unordered(LOADS_AT_ONCE);
        while let Some(loaded) = loads.next().await {
            let (key, state) = loaded?;
            workspace.insert(key, state);
        }
        Ok(workspace)
    }

    /// A grant or a worker counts from its commit on, for the very next command.
    async fn learn(&self, admitted: &[Admitted]) -> Result<(), Unavailable> {
        if !admitted.iter().any(|command| Directory::FOLLOWED.contains(&command.key().aggregate_type)) {
            return Ok(());
        }
        crate::follower::catch_up(self.store.reader(), &self.directory).await?;
        Ok(())
    }

    /// Tells every client, then the bus, then the readers.
    async fn answer(
        &self,
        taken: Vec<Taken>,
        event_counts: impl Iterator<Item = usize>,
        answers: Vec<Answer>,
        appended: Appended,
    ) {
        let mut position = appended.first_position;
        for ((taken, answer), event_count) in taken.into_iter().zip(answers).zip(event_counts) {
            let outcome = match answer {
                Answer::Accepted { .. } => "accepted",
                Answer::Rejected { .. } => "rejected",
            };
            let event_count = u32::try_from(event_count).unwrap_or(u32::MAX);
            let result = CommandResult {
                command_id: command_id(&taken),
                first_position: position,
                event_count,
                answer,
            };
            position += u64::from(event_count);
            self.answers.result(&taken.incoming.subject.tenant, &result).await;
            failpoints::PROCESSOR_ANSWERED.reach();
            self.finish(&taken, outcome).await;
            failpoints::PROCESSOR_ACKNOWLEDGED.reach();
        }
        self.answers.head(position - 1).await;
    }

    /// The log refused the batch and wrote nothing: answer what is known, forget what is stale, leave what is lost to
    /// its new owner. The rest is decided again.
    async fn step_back(&mut self, open: &mut Vec<Taken>, refusal: Refusal) -> Result<(), Unavailable> {
        let Refusal { known, stale, lost } = refusal;
        let count = |reason: &str, count: usize| {
            self.metrics.conflicts.with_label_values(&[reason]).inc_by(count as u64);
        };
        count("known", known.len());
        count("stale", stale.len());
        count("lost", lost.len());
        // States were decided on a copy, so only what others wrote is wrong here.
        let is_stale = |key: &StreamKey| {
            stale
                .iter()
                .any(|one| one.aggregate_type == key.aggregate_type && one.aggregate_id == key.aggregate_id)
        };
        let forgotten: Vec<_> =
            self.cache.iter().map(|(key, _)| key).filter(|key| is_stale(key)).cloned().collect();
        for key in &forgotten {
            self.cache.pop(key);
        }
        open.retain(|taken| !lost.contains(&taken.fence));
        let receipts = self.store.receipts(&known).await?;
        self.answer_known(open, &receipts).await;
        Ok(())
    }

    async fn answer_known(&self, open: &mut Vec<Taken>, receipts: &HashMap<Uuid, Receipt>) {
        let (known, rest): (Vec<_>, Vec<_>) =
            open.drain(..).partition(|taken| receipts.contains_key(&command_id(taken)));
        *open = rest;
        for taken in known {
            if let Some(receipt) = receipts.get(&command_id(&taken)) {
                self.repeat(taken, receipt).await;
            }
        }
    }

    /// Finds the command whose data the log cannot take: alone it is refused, in company it is tried alone next.
    async fn isolate(&mut self, open: &mut Vec<Taken>, error: &AppendError) {
        if open.len() > 1 {
            let rest = open.split_off(1);
            if let Some(taken) = open.pop() {
                let mut alone = vec![taken];
                // An unavailable log keeps the command open with the rest.
                if Box::pin(self.commit(&mut alone)).await.is_err() || !alone.is_empty() {
                    open.append(&mut alone);
                }
            }
            open.extend(rest);
            return;
        }
        for taken in open.drain(..) {
            tracing::error!(
                command.id = %command_id(&taken),
                error = error as &dyn std::error::Error,
                "the log cannot take this command"
            );
            let no = taken.incoming.refuse(errors::PAYLOAD_INVALID, "the log cannot hold this command");
            self.refuse(taken, &no).await;
        }
    }

    async fn repeat(&self, taken: Taken, receipt: &Receipt) {
        match of_receipt(&taken.incoming, receipt) {
            Ok(result) => {
                self.answers.result(&taken.incoming.subject.tenant, &result).await;
                self.finish(&taken, "repeated").await;
            }
            Err(no) => self.refuse(taken, &no).await,
        }
    }

    async fn refuse(&self, taken: Taken, no: &Refused) {
        let tenant: &Tenant = &taken.incoming.subject.tenant;
        self.answers.refusal(tenant, no, taken.sequence).await;
        self.finish(&taken, "refused").await;
    }

    async fn finish(&self, taken: &Taken, outcome: &str) {
        let aggregate = match taken.incoming.subject.aggregate.as_str() {
            known @ ("authority" | "price-feed" | "wallet" | "worker") => known,
            _ => "unknown",
        };
        self.metrics.commands.with_label_values(&[aggregate, outcome]).inc();
        if let Err(error) = taken.message.ack().await {
            tracing::warn!(%error, "acknowledgement was not sent; the command comes again and is answered again");
        }
    }
}

fn command_id(taken: &Taken) -> Uuid {
    taken.incoming.signed.envelope.command_id
}

/// The first message of each command id, and the others: a batch decides an id once.
fn distinct(batch: impl IntoIterator<Item = Taken>) -> (Vec<Taken>, Vec<Taken>) {
    let mut seen = HashSet::new();
    batch.into_iter().partition(|taken| seen.insert(command_id(taken)))
}
