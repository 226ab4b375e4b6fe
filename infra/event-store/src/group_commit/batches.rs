//! What waits to be committed, and which of it makes the next batch: in the order of arrival, each command once, each
//! stream's commands one after the other. Pure: no I/O, no clock.

use std::collections::{HashMap, HashSet, VecDeque};

use tokio::sync::{OwnedSemaphorePermit, oneshot};
use uuid::Uuid;

use crate::append::{AppendError, Appended, Refusal, StaleStream};
use crate::batch::Checked;
use crate::command::{CommandAppend, Fence};
use crate::limits::{MAX_BATCH_BYTES, MAX_COMMANDS_PER_BATCH};

/// A command and who waits for its outcome.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(super) checked: Checked<CommandAppend>,
    pub(super) caller: Caller,
}

/// Who waits, and the room that the command takes until then.
#[derive(Debug)]
pub(super) struct Caller {
    answer: oneshot::Sender<Result<Appended, AppendError>>,
    _room: OwnedSemaphorePermit,
}

/// Type and id.
pub(super) type StreamKey = (String, String);

impl Waiting {
    pub(super) fn new(
        checked: Checked<CommandAppend>,
        answer: oneshot::Sender<Result<Appended, AppendError>>,
        room: OwnedSemaphorePermit,
    ) -> Self {
        Self { checked, caller: Caller { answer, _room: room } }
    }

    fn command(&self) -> &CommandAppend {
        &self.checked.command
    }

    pub(super) fn answer(self, outcome: Result<Appended, AppendError>) {
        self.caller.answer(outcome);
    }
}

impl Caller {
    /// A caller that has gone hears nothing; its command is recorded or not all the same.
    pub(super) fn answer(self, outcome: Result<Appended, AppendError>) {
        let _ = self.answer.send(outcome);
    }
}

pub(super) fn stream_key(command: &CommandAppend) -> StreamKey {
    (command.aggregate_type.clone(), command.aggregate_id.clone())
}

/// The version that a command leaves its stream at.
pub(super) fn version_after(command: &CommandAppend) -> u64 {
    command.expected_version.saturating_add(command.events.len() as u64)
}

/// Commands in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Batches {
    waiting: VecDeque<Waiting>,
    /// Streams with a command under way: their next commands wait for its outcome.
    under_way: HashSet<StreamKey>,
    /// Versions that the last commits left streams at, and those before them. Versions only grow, so a command that
    /// expects an earlier one is known to be stale without breaking a batch.
    recent: [HashMap<StreamKey, u64>; 2],
    isolation: Isolation,
}

/// The next batch, and those of the waiting that are stale by what is known, each with its stream's version.
#[derive(Debug, Default)]
pub(super) struct Next {
    pub(super) batch: Vec<Waiting>,
    pub(super) superseded: Vec<(Waiting, u64)>,
}

impl Batches {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn push(&mut self, waiting: Waiting) {
        self.waiting.push_back(waiting);
    }

    /// Puts back what came before everything that waits.
    fn put_back(&mut self, earlier: Vec<Waiting>) {
        for waiting in earlier.into_iter().rev() {
            self.waiting.push_front(waiting);
        }
    }

    /// Takes the next batch; empty when nothing can be committed now.
    pub(super) fn next(&mut self) -> Next {
        let mut next = Next::default();
        let mut ids = HashSet::new();
        let mut streams: HashMap<StreamKey, u64> = HashMap::new();
        let mut later = VecDeque::with_capacity(self.waiting.len());
        let (most, mut bytes) = (self.isolation.most(), 0);
        while let Some(waiting) = self.waiting.pop_front() {
            let command = waiting.command();
            let (expected, size) = (command.expected_version, waiting.checked.bytes);
            let full = next.batch.len() == most || next.superseded.len() == MAX_COMMANDS_PER_BATCH;
            if full || bytes + size > MAX_BATCH_BYTES {
                later.push_back(waiting);
                break;
            }
            let key = stream_key(command);
            if let Some(version) = self.known_version(&key).filter(|version| expected < *version) {
                next.superseded.push((waiting, version));
            } else if self.under_way.contains(&key)
                || streams.get(&key).is_some_and(|version| *version != expected)
                || !ids.insert(command.command_id)
            {
                later.push_back(waiting);
            } else {
                bytes += size;
                streams.insert(key, version_after(command));
                next.batch.push(waiting);
            }
        }
        later.append(&mut self.waiting);
        self.waiting = later;
        self.under_way.extend(streams.into_keys());
        next
    }

    fn known_version(&self, key: &StreamKey) -> Option<u64> {
        self.recent.iter().filter_map(|versions| versions.get(key)).max().copied()
    }

    /// The batch's commands are no longer under way.
    pub(super) fn landed<'a>(&mut self, streams: impl Iterator<Item = &'a StreamKey>) {
        for key in streams {
            self.under_way.remove(key);
        }
    }

    /// The batch is recorded: every caller hears its own position.
    pub(super) fn recorded(&mut self, batch: Vec<Waiting>, appended: Appended) {
        self.isolation.passed(batch.len());
        let mut versions = HashMap::with_capacity(batch.len());
        let mut first_position = appended.first_position;
        for waiting in batch {
            let command = waiting.command();
            versions.insert(stream_key(command), version_after(command));
            let events = command.events.len() as u64;
            waiting.answer(Ok(Appended { first_position, ..appended }));
            first_position += events;
        }
        self.recent.swap(0, 1);
        self.recent[0] = versions;
    }

    /// The log refused the batch: those that it named hear why, the others are tried again.
    pub(super) fn refused(&mut self, batch: Vec<Waiting>, refusal: &Refusal) {
        let all = batch.len();
        let mut named = Named::new(refusal);
        let mut again = Vec::with_capacity(all);
        for waiting in batch {
            match named.refusal_of(waiting.command()) {
                Some(own) => waiting.answer(Err(AppendError::Refused(own))),
                None => again.push(waiting),
            }
        }
        if again.len() == all {
            // Nobody was named, which the log never does: smaller batches find out whom it means.
            self.failed(again, AppendError::Refused(refusal.clone()));
        } else {
            self.put_back(again);
        }
    }

    /// The database refuses some command's data: smaller batches find out whose.
    pub(super) fn failed(&mut self, mut batch: Vec<Waiting>, error: AppendError) {
        self.isolation.failed(batch.len());
        match batch.pop() {
            Some(only) if batch.is_empty() => only.answer(Err(error)),
            Some(last) => {
                batch.push(last);
                self.put_back(batch);
            }
            None => {}
        }
    }
}

/// A refusal, asked command by command in the batch's order.
struct Named<'a> {
    known: HashSet<Uuid>,
    lost: HashSet<Fence>,
    stale: HashMap<(&'a str, &'a str), u64>,
}

impl<'a> Named<'a> {
    fn new(refusal: &'a Refusal) -> Self {
        let stream = |stale: &'a StaleStream| {
            ((stale.aggregate_type.as_str(), stale.aggregate_id.as_str()), stale.actual)
        };
        Self {
            known: refusal.known.iter().copied().collect(),
            lost: refusal.lost.iter().copied().collect(),
            stale: refusal.stale.iter().map(stream).collect(),
        }
    }

    /// What of the refusal is the command's. A stream's commands are stale until one expects its version; from there on
    /// they are a chain that can be tried again.
    fn refusal_of(&mut self, command: &CommandAppend) -> Option<Refusal> {
        let mut own = Refusal::default();
        own.known.extend(self.known.get(&command.command_id));
        own.lost.extend(self.lost.get(&command.fence));
        let key = (command.aggregate_type.as_str(), command.aggregate_id.as_str());
        if let Some(actual) = self.stale.get(&key).copied() {
            if command.expected_version == actual {
                self.stale.retain(|other, _| *other != key);
            } else {
                own.stale.push(stale_stream(command, actual));
            }
        }
        (own != Refusal::default()).then_some(own)
    }
}

pub(super) fn stale_stream(command: &CommandAppend, actual: u64) -> StaleStream {
    StaleStream {
        aggregate_type: command.aggregate_type.clone(),
        aggregate_id: command.aggregate_id.clone(),
        expected: command.expected_version,
        actual,
    }
}

/// After a batch failed for its data, the commands that were in it go in smaller batches: half as many after each
/// failure, twice as many after each success, until all of them have passed or are found.
#[derive(Debug)]
struct Isolation {
    suspicious: usize,
    most: usize,
}

impl Default for Isolation {
    fn default() -> Self {
        Self { suspicious: 0, most: MAX_COMMANDS_PER_BATCH }
    }
}

impl Isolation {
    fn most(&self) -> usize {
        self.most
    }

    fn failed(&mut self, commands: usize) {
        if commands == 1 {
            self.suspicious = self.suspicious.saturating_sub(1);
            self.settle();
        } else {
            self.suspicious = self.suspicious.max(commands);
            self.most = (commands / 2).max(1);
        }
    }

    fn passed(&mut self, commands: usize) {
        self.suspicious = self.suspicious.saturating_sub(commands);
        self.most = (self.most * 2).min(MAX_COMMANDS_PER_BATCH);
        self.settle();
    }

    fn settle(&mut self) {
        if self.suspicious == 0 {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
#[path = "batches_tests.rs"]
mod tests;
