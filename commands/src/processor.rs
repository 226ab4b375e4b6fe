//! The command processor: takes what waits, decides it in order, commits it at once, answers after the commit.
//!
//! Two batches exist at a time: one is being committed, the next is gathered and decided meanwhile, on the states that
//! the first leads to. When the log refuses the first, both are decided again. Nothing is acknowledged to the bus or
//! answered to a client before its commit (promise 1).

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use lru::LruCache;
use nsl_domain::decision::Genesis;
use nsl_event_store::{AppendError, Appended, Fence, LoadError, ReadError};
use nsl_schemas::command::Command;
use nsl_telemetry::readiness::Gate;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::admission::Admission;
use crate::aggregates::StreamKey;
use crate::batch::{Batch, Known, Leased, stream_key};
use crate::directory::Directory;
use crate::failpoints;
use crate::intake::{Incoming, Refused};
use crate::metrics::CommandMetrics;
use crate::ports::{Clock, Delivery, Log, Outbox};
use admit::Admitted;
use unreadable::Unreadable;

mod admit;
mod settle;
mod unreadable;

/// Streams loaded at once when commands address aggregates that are not in memory: the store's read connections.
const LOADS_AT_ONCE: usize = 4;
/// First wait when the log cannot be reached.
const BACKOFF_FIRST: Duration = Duration::from_millis(50);
/// Longest wait: a recovered database is found within a second.
const BACKOFF_LIMIT: Duration = Duration::from_secs(1);
/// Payload bytes after which a batch is full. Events repeat their command's payload, so what the log gets is some times
/// as much: below its bound for a batch.
const BATCH_PAYLOAD_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Refusals told before the next look at what else there is to do.
const REFUSALS_AT_ONCE: usize = 64;
/// Refusals that may wait to be told; with more, nothing further is taken from the queue. Two queues full.
const REFUSALS_WAITING_MAX: usize = 2048;

/// A command with its message, as a partition's consumer hands it on.
#[derive(Debug)]
pub struct Taken<D> {
    /// The command; its signature holds.
    pub incoming: Incoming,
    /// The lease under which it was taken.
    pub fence: Fence,
    /// To acknowledge.
    pub message: D,
    /// In the command stream.
    pub sequence: u64,
}

impl<D> Taken<D> {
    fn command_id(&self) -> Uuid {
        self.incoming.signed.envelope.command_id
    }
}

/// A command that waits to be decided.
struct Waiting<D> {
    taken: Taken<D>,
    /// Whether the log may have it already, so that the receipts are asked first.
    may_be_known: bool,
}

impl<D: Delivery> From<Taken<D>> for Waiting<D> {
    fn from(taken: Taken<D>) -> Self {
        let may_be_known = taken.message.is_repeat();
        Self { taken, may_be_known }
    }
}

/// Everything a processor works with.
pub struct Parts<L, O> {
    /// The log.
    pub log: L,
    /// To clients.
    pub outbox: O,
    /// The time of day.
    pub clock: Clock,
    /// Event 1.
    pub genesis: Arc<Genesis>,
    /// Grants and workers.
    pub directory: Arc<Directory>,
    /// Rates and the checks before a decision.
    pub admission: Admission,
    /// How long workers have to sign a transfer.
    pub signing_ms: u64,
    /// Counts.
    pub metrics: CommandMetrics,
    /// Closed while the log cannot be reached.
    pub log_gate: Gate,
    /// Aggregates in memory.
    pub cache_aggregates_max: std::num::NonZeroUsize,
    /// Commands of one commit.
    pub batch_commands_max: usize,
}

/// Decides and commits.
pub struct Processor<L, O, D> {
    parts: Parts<L, O>,
    /// Committed states, most recently used first.
    cache: LruCache<StreamKey, Leased>,
    /// Taken and not yet decided, in order.
    backlog: VecDeque<Waiting<D>>,
    /// Being committed.
    committing: Option<Commit<D>>,
    /// Decided, to be committed next.
    gathered: Batch<D>,
    /// Further copies of commands that are decided: answered when those are.
    copies: Vec<Taken<D>>,
    /// Refused and not told yet: whatever was decided goes first, so that nobody waits behind another tenant's flood.
    refusals: VecDeque<(Taken<D>, Refused)>,
    /// Commands whose append was sent to the log under these leases and may still land there, answers notwithstanding.
    open: HashMap<Uuid, Fence>,
    /// So many commands are committed one by one: the log refused the data of one of them.
    isolated: usize,
    /// What the next wait for the log will be.
    backoff: Duration,
}

/// A batch on its way into the log.
struct Commit<D> {
    batch: Batch<D>,
    task: JoinHandle<Result<Appended, AppendError>>,
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

impl<L: Log, O: Outbox, D: Delivery> Processor<L, O, D> {
    /// A processor with nothing in memory.
    pub fn new(parts: Parts<L, O>) -> Self {
        Self {
            cache: LruCache::new(parts.cache_aggregates_max),
            parts,
            backlog: VecDeque::new(),
            committing: None,
            gathered: Batch::new(),
            copies: Vec::new(),
            refusals: VecDeque::new(),
            open: HashMap::new(),
            isolated: 0,
            backoff: BACKOFF_FIRST,
        }
    }

    /// Works until the queue is closed and everything taken from it is answered, or until `stop` while the log is
    /// away: what is not answered then stays on the bus and comes again.
    pub async fn run(mut self, mut queue: mpsc::Receiver<Taken<D>>, stop: CancellationToken) {
        let batch_commands_max = self.parts.batch_commands_max;
        let mut arrived = Vec::with_capacity(batch_commands_max);
        let mut is_open = true;
        loop {
            let worked = self.gather().await;
            #[cfg(feature = "failpoints")]
            self.answer_before_commit().await;
            self.submit();
            self.tell_refusals().await;
            let is_idle = self.committing.is_none() && self.backlog.is_empty() && self.refusals.is_empty();
            if worked.is_ok() && is_idle {
                // Whoever was open was answered, or left to its partition's next lease.
                self.open.clear();
                if !is_open {
                    return;
                }
            }
            if let Err(error) = worked {
                if !self.wait_for_log(&error, &stop).await {
                    return;
                }
                continue;
            }
            let takes_more = is_open && self.backlog.is_empty() && self.refusals.len() < REFUSALS_WAITING_MAX;
            let settled = tokio::select! {
                biased;
                outcome = finished(&mut self.committing), if self.committing.is_some() => Some(outcome),
                count = queue.recv_many(&mut arrived, batch_commands_max), if takes_more => {
                    is_open = count > 0;
                    None
                }
                () = std::future::ready(()), if !self.refusals.is_empty() => None,
            };
            if !arrived.is_empty() {
                failpoints::PROCESSOR_RECEIVED.reach();
            }
            self.backlog.extend(arrived.drain(..).map(Waiting::from));
            if let Some(outcome) = settled
                && let Err(error) = self.settle(outcome).await
                && !self.wait_for_log(&error, &stop).await
            {
                return;
            }
        }
    }

    /// Decides what waits, as far as the next batch has room.
    async fn gather(&mut self) -> Result<(), Unavailable> {
        loop {
            self.release_copies();
            let chunk = self.next_chunk();
            if chunk.is_empty() {
                return Ok(());
            }
            let now_ms = (self.parts.clock)();
            let admitted = self.admit_and_load(chunk, now_ms).await?;
            failpoints::PROCESSOR_ADMITTED.reach();
            for Admitted { taken, command } in admitted {
                let Parts { genesis, directory, signing_ms, .. } = &self.parts;
                let known = Known { genesis, directory, signing_ms: *signing_ms, now_ms };
                self.gathered.decide(taken, command, &known).await;
            }
        }
    }

    /// The first commands of the backlog for which the next batch has room. Copies of commands under way are set aside.
    fn next_chunk(&mut self) -> Vec<Waiting<D>> {
        let most = match self.isolated {
            0 => self.parts.batch_commands_max,
            // Alone, and with nothing before it whose states it would rest on.
            _ if self.committing.is_some() => 0,
            _ => 1,
        };
        let room = most.saturating_sub(self.gathered.taken.len());
        if room == 0 || self.backlog.is_empty() {
            return Vec::new();
        }
        let mut bytes = self.gathered.payload_bytes;
        let mut chunk = Vec::with_capacity(room.min(self.backlog.len()));
        while chunk.len() < room && bytes < BATCH_PAYLOAD_BYTES_MAX {
            let Some(waiting) = self.backlog.pop_front() else { break };
            if self.is_under_way(waiting.taken.command_id()) {
                self.copies.push(waiting.taken);
            } else {
                bytes += waiting.taken.incoming.signed.payload.len();
                chunk.push(waiting);
            }
        }
        chunk
    }

    /// Copies of what is no longer under way are judged for themselves: mostly their receipt speaks.
    fn release_copies(&mut self) {
        if self.copies.is_empty() {
            return;
        }
        let (kept, free): (Vec<_>, Vec<_>) = std::mem::take(&mut self.copies)
            .into_iter()
            .partition(|copy| self.is_under_way(copy.command_id()));
        self.copies = kept;
        if free.is_empty() {
            return;
        }
        self.backlog.extend(free.into_iter().map(|taken| Waiting { taken, may_be_known: true }));
        // A copy may stand for a command that was lost with an earlier lease: then nothing that came after it may
        // overtake it.
        self.backlog.make_contiguous().sort_by_key(|waiting| waiting.taken.sequence);
    }

    fn is_under_way(&self, command_id: Uuid) -> bool {
        let is_committing =
            self.committing.as_ref().is_some_and(|commit| commit.batch.ids.contains(&command_id));
        is_committing || self.gathered.ids.contains(&command_id)
    }

    /// Judges a chunk and brings the states together that it needs. Without the log, the chunk waits again.
    async fn admit_and_load(
        &mut self,
        mut chunk: Vec<Waiting<D>>,
        now_ms: u64,
    ) -> Result<Vec<Admitted<D>>, Unavailable> {
        match self.admit_and_load_all(&mut chunk, now_ms).await {
            Ok(commands) => Ok(chunk
                .into_iter()
                .zip(commands)
                .map(|(waiting, command)| Admitted { taken: waiting.taken, command })
                .collect()),
            Err(error) => {
                self.wait_again(chunk);
                Err(error)
            }
        }
    }

    async fn admit_and_load_all(
        &mut self,
        chunk: &mut Vec<Waiting<D>>,
        now_ms: u64,
    ) -> Result<Vec<Command>, Unavailable> {
        let mut commands = self.admit(chunk, now_ms).await?;
        let unreadable = self.load(chunk, &commands).await?;
        self.set_aside(chunk, &mut commands, &unreadable).await?;
        Ok(commands)
    }

    /// Brings every addressed aggregate's newest state into the batch: as the batch before it leaves it, as it is in
    /// memory, or from the log. Names those whose streams cannot be read.
    async fn load(&mut self, chunk: &[Waiting<D>], commands: &[Command]) -> Result<Unreadable, Unavailable> {
        let mut missing = Vec::new();
        let mut asked = HashSet::new();
        for (waiting, command) in chunk.iter().zip(commands) {
            let (key, fence) = (stream_key(&waiting.taken.incoming, command), waiting.taken.fence);
            let is_current = |leased: &&Leased| leased.fence == fence;
            if self.gathered.states.get(&key).as_ref().is_some_and(is_current) {
                continue;
            }
            let before = self.committing.as_ref().and_then(|commit| commit.batch.states.get(&key));
            let known = before.filter(is_current).or_else(|| self.cache.get(&key).filter(is_current));
            match known.cloned() {
                Some(leased) => drop(self.gathered.states.insert(key, leased)),
                None if asked.insert(key.clone()) => missing.push((key, fence)),
                None => {}
            }
        }
        let mut unreadable = Unreadable::new();
        let log = &self.parts.log;
        let mut loads = stream::iter(missing)
            .map(|(key, fence)| async move { (log.load(&key).await, key, fence) })
            .buffer_unordered(LOADS_AT_ONCE);
        while let Some((loaded, key, fence)) = loads.next().await {
            match loaded {
                Ok(state) => drop(self.gathered.states.insert(key, Leased { state, fence })),
                Err(error) if error.is_of_the_stream() => drop(unreadable.insert(key, error)),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(unreadable)
    }

    /// Hands the gathered batch to the log, if nothing else is on its way there.
    fn submit(&mut self) {
        if self.committing.is_some() || self.gathered.taken.is_empty() {
            return;
        }
        failpoints::PROCESSOR_DECIDED.reach();
        let mut batch = std::mem::replace(&mut self.gathered, Batch::new());
        let (log, appends) = (self.parts.log.clone(), std::mem::take(&mut batch.appends));
        let task = tokio::spawn(async move { log.append(&appends).await });
        self.committing = Some(Commit { batch, task });
    }

    /// Puts commands back to the front, in their order. What became of them is not known, so their receipts are asked.
    fn wait_again(&mut self, chunk: Vec<Waiting<D>>) {
        for waiting in chunk.into_iter().rev() {
            self.backlog.push_front(Waiting { may_be_known: true, ..waiting });
        }
    }

    /// Waits a little; false when the service stops meanwhile.
    async fn wait_for_log(&mut self, error: &Unavailable, stop: &CancellationToken) -> bool {
        self.parts.log_gate.close(error.to_string());
        tracing::warn!(
            error = error as &dyn std::error::Error,
            commands = self.backlog.len(),
            "log is unavailable"
        );
        let backoff = self.backoff;
        self.backoff = (backoff * 2).min(BACKOFF_LIMIT);
        stop.run_until_cancelled(tokio::time::sleep(backoff)).await.is_some()
    }
}

/// The outcome of the commit under way.
async fn finished<D>(committing: &mut Option<Commit<D>>) -> Result<Appended, AppendError> {
    let Some(commit) = committing else { return std::future::pending().await };
    // The task is not cancelled while the processor lives, so what ended it otherwise is a panic, which goes on here.
    (&mut commit.task).await.unwrap_or_else(|ended| std::panic::resume_unwind(ended.into_panic()))
}
