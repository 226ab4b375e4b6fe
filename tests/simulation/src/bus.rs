//! The simulated bus: a work queue in partitions. Within a partition a consumer delivers in order; what is not
//! acknowledged in time, or was delivered to a consumer that is gone, comes again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nsl_schemas::subject::CommandSubject;
use tokio::sync::Notify;
use tokio::time::Instant;

/// As the real consumers have it.
const ACK_WAIT: Duration = Duration::from_mins(2);

/// A published command.
#[derive(Debug, Clone)]
pub(crate) struct Published {
    pub(crate) subject: CommandSubject,
    pub(crate) headers: BTreeMap<&'static str, String>,
    pub(crate) payload: String,
}

/// A message in the command stream.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) sequence: u64,
    pub(crate) published: Published,
}

/// The command stream.
pub(crate) struct Bus {
    state: Mutex<State>,
    /// Wakes in the order of waiting; a `watch` would wake in an order of its own chance.
    changed: Notify,
}

#[derive(Default)]
struct State {
    sequence: u64,
    partitions: BTreeMap<u16, Partition>,
}

#[derive(Default)]
struct Partition {
    messages: BTreeMap<u64, Arc<Message>>,
    /// The consumer's; an earlier one ends.
    generation: u64,
    /// The last message that was delivered.
    cursor: u64,
    /// Delivered and not acknowledged: when each comes again.
    pending: BTreeMap<u64, Instant>,
}

impl Bus {
    pub(crate) fn new() -> Self {
        Self { state: Mutex::default(), changed: Notify::new() }
    }

    /// Stores a message and answers its sequence.
    pub(crate) fn publish(&self, partition: u16, published: Published) -> u64 {
        let sequence = self.with(|state| {
            state.sequence += 1;
            let sequence = state.sequence;
            let message = Arc::new(Message { sequence, published });
            state.partitions.entry(partition).or_default().messages.insert(sequence, message);
            sequence
        });
        self.changed.notify_waiters();
        sequence
    }

    /// Makes the partition's consumer anew, from the first message that is there; or, which is a bug, goes on with the
    /// one that was there. The former owner's fetches end. Answers the consumer's generation.
    pub(crate) fn take_over(&self, partition: u16, recreates: bool) -> u64 {
        let generation = self.with(|state| {
            let partition = state.partitions.entry(partition).or_default();
            partition.generation += 1;
            if recreates {
                partition.cursor = 0;
                partition.pending.clear();
            }
            partition.generation
        });
        self.changed.notify_waiters();
        generation
    }

    /// The next message and whether it was delivered before; `None` when the consumer is gone.
    pub(crate) async fn next(&self, partition: u16, generation: u64) -> Option<(Arc<Message>, bool)> {
        loop {
            // Before the look, so that nothing is missed between it and the wait.
            let changed = self.changed.notified();
            let due = match self.with(|state| state.partitions.entry(partition).or_default().next(generation))
            {
                Next::Gone => return None,
                Next::Message(message, is_repeat) => return Some((message, is_repeat)),
                Next::Wait(due) => due,
            };
            tokio::select! {
                biased;
                () = changed => {}
                () = wait_until(due) => {}
            }
        }
    }

    /// Takes a message off.
    pub(crate) fn acknowledge(&self, partition: u16, sequence: u64) {
        self.with(|state| {
            let partition = state.partitions.entry(partition).or_default();
            partition.messages.remove(&sequence);
            partition.pending.remove(&sequence);
        });
    }

    /// Where a message is, if it is there.
    pub(crate) fn partition_of(&self, sequence: u64) -> Option<u16> {
        self.with(|state| {
            let has = |one: &Partition| one.messages.contains_key(&sequence);
            state.partitions.iter().find(|(_, one)| has(one)).map(|(partition, _)| *partition)
        })
    }

    /// Messages that are still there.
    pub(crate) fn remaining(&self) -> Vec<u64> {
        self.with(|state| state.partitions.values().flat_map(|one| one.messages.keys().copied()).collect())
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

enum Next {
    Gone,
    Message(Arc<Message>, bool),
    Wait(Option<Instant>),
}

impl Partition {
    fn next(&mut self, generation: u64) -> Next {
        if self.generation != generation {
            return Next::Gone;
        }
        let now = Instant::now();
        let overdue = self.pending.iter().find(|(_, due)| **due <= now).map(|(sequence, _)| *sequence);
        let fresh = || self.messages.range(self.cursor + 1..).next().map(|(sequence, _)| *sequence);
        let Some(sequence) = overdue.or_else(fresh) else {
            return Next::Wait(self.pending.values().min().copied());
        };
        self.cursor = self.cursor.max(sequence);
        self.pending.insert(sequence, now + ACK_WAIT);
        match self.messages.get(&sequence) {
            Some(message) => Next::Message(Arc::clone(message), overdue.is_some()),
            None => Next::Wait(Some(now)),
        }
    }
}

async fn wait_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
