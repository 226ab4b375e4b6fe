//! The simulated log: the semantics of the migrations' `append_batch`, `settle_receipts` and the leases, in memory.

use std::collections::{BTreeMap, BTreeSet};

use nsl_event_store::{
    Appended, CommandAppend, Fence, HashedEvent, Receipt, RecordedEvent, Refusal, StaleStream, command_hash,
    content_hash,
};
use tokio::time::Instant;
use uuid::Uuid;

use crate::clock;

/// The log and the leases.
pub(crate) struct Store {
    pub(crate) events: BTreeMap<u64, RecordedEvent>,
    /// Every command under the position of its first event.
    pub(crate) commands: BTreeMap<u64, CommandAppend>,
    pub(crate) receipts: BTreeMap<Uuid, Receipt>,
    streams: BTreeMap<(String, String), u64>,
    leases: BTreeMap<u16, Lease>,
    next_position: u64,
    /// Nobody reaches it before.
    away_until: Instant,
}

#[derive(Default)]
struct Lease {
    owner: Option<String>,
    epoch: i64,
    expires_ms: u64,
}

impl Store {
    pub(crate) fn new() -> Self {
        Self {
            events: BTreeMap::new(),
            commands: BTreeMap::new(),
            receipts: BTreeMap::new(),
            streams: BTreeMap::new(),
            leases: BTreeMap::new(),
            next_position: 1,
            away_until: Instant::now(),
        }
    }

    pub(crate) fn leave_until(&mut self, until: Instant) {
        self.away_until = self.away_until.max(until);
    }

    pub(crate) fn is_away(&self) -> bool {
        Instant::now() < self.away_until
    }

    pub(crate) fn head(&self) -> u64 {
        self.events.last_key_value().map_or(0, |(position, _)| *position)
    }

    pub(crate) fn stream(&self, aggregate_type: &str, aggregate_id: &str) -> Vec<RecordedEvent> {
        let is_its = |event: &&RecordedEvent| {
            event.aggregate_type == aggregate_type && event.aggregate_id == aggregate_id
        };
        self.events.values().filter(is_its).cloned().collect()
    }

    pub(crate) fn is_current(&self, fence: Fence) -> bool {
        self.leases.get(&fence.partition).is_some_and(|lease| lease.epoch == fence.epoch)
    }

    /// Why the batch cannot be appended; empty when it can.
    pub(crate) fn refusal(&self, batch: &[CommandAppend]) -> Refusal {
        let mut streams = BTreeSet::new();
        let mut refusal = Refusal::default();
        let fences: BTreeSet<Fence> = batch.iter().map(|command| command.fence).collect();
        refusal.lost = fences.into_iter().filter(|fence| !self.is_current(*fence)).collect();
        for command in batch {
            if self.receipts.contains_key(&command.command_id) {
                refusal.known.push(command.command_id);
            }
            let stream = (command.aggregate_type.clone(), command.aggregate_id.clone());
            let actual = self.streams.get(&stream).copied().unwrap_or(0);
            if streams.insert(stream) && actual != command.expected_version {
                refusal.stale.push(StaleStream {
                    aggregate_type: command.aggregate_type.clone(),
                    aggregate_id: command.aggregate_id.clone(),
                    expected: command.expected_version,
                    actual,
                });
            }
        }
        refusal
    }

    /// Gives positions to a batch; the log does so in the commit, under the head lock.
    pub(crate) fn reserve(&mut self, batch: &[CommandAppend]) -> u64 {
        let first = self.next_position;
        self.next_position += batch.iter().map(|command| command.events.len() as u64).sum::<u64>();
        first
    }

    /// Records a batch that was not refused.
    pub(crate) fn commit(&mut self, batch: &[CommandAppend], first_position: u64) -> Appended {
        let recorded_at_ms = i64::try_from(clock::now_ms()).unwrap_or(i64::MAX);
        let mut position = first_position;
        for command in batch {
            self.receipts.entry(command.command_id).or_insert_with(|| receipt(command, position));
            self.commands.insert(position, command.clone());
            position = self.record(command, position, recorded_at_ms);
        }
        Appended { first_position, recorded_at_ms }
    }

    fn record(&mut self, command: &CommandAppend, mut position: u64, recorded_at_ms: i64) -> u64 {
        let stream = (command.aggregate_type.clone(), command.aggregate_id.clone());
        let mut origin = Some(command_hash(&command.subject, &command.envelope, &command.payload));
        for (event, sequence) in command.events.iter().zip(command.expected_version + 1..) {
            let hashed = HashedEvent {
                aggregate_type: &command.aggregate_type,
                aggregate_id: &command.aggregate_id,
                sequence,
                event_id: event.event_id,
                event_type: &event.event_type,
                event_version: &event.event_version,
                payload: &event.payload,
                metadata: &event.metadata,
            };
            let recorded = RecordedEvent {
                position,
                aggregate_type: command.aggregate_type.clone(),
                aggregate_id: command.aggregate_id.clone(),
                sequence,
                event_id: event.event_id,
                command_id: command.command_id,
                event_type: event.event_type.clone(),
                event_version: event.event_version.clone(),
                payload: event.payload.clone(),
                metadata: event.metadata.clone(),
                recorded_at_ms,
                content_hash: content_hash(&hashed, origin.take().as_ref()),
            };
            self.events.insert(position, recorded);
            self.streams.insert(stream.clone(), sequence);
            position += 1;
        }
        position
    }

    /// Takes what is free, expired or the owner's own.
    pub(crate) fn take(&mut self, owner: &str, wanted: &[u16], ttl_ms: u64) -> Vec<Fence> {
        let now_ms = clock::now_ms();
        let mut taken = Vec::new();
        for partition in wanted {
            let lease = self.leases.entry(*partition).or_default();
            if lease.owner.as_deref().is_none_or(|held| held == owner) || lease.expires_ms <= now_ms {
                *lease = Lease {
                    owner: Some(owner.to_owned()),
                    epoch: lease.epoch + 1,
                    expires_ms: now_ms + ttl_ms,
                };
                taken.push(Fence { partition: *partition, epoch: lease.epoch });
            }
        }
        taken
    }

    /// Prolongs those that are still at their epoch.
    pub(crate) fn renew(&mut self, owner: &str, fences: &[Fence], ttl_ms: u64) -> Vec<Fence> {
        let now_ms = clock::now_ms();
        self.held(owner, fences, |lease| lease.expires_ms = now_ms + ttl_ms)
    }

    /// Gives back those that are still at their epoch.
    pub(crate) fn release(&mut self, owner: &str, fences: &[Fence]) -> Vec<Fence> {
        self.held(owner, fences, |lease| {
            *lease = Lease { owner: None, epoch: lease.epoch + 1, expires_ms: 0 };
        })
    }

    fn held(&mut self, owner: &str, fences: &[Fence], change: impl Fn(&mut Lease)) -> Vec<Fence> {
        let mut held = Vec::new();
        for fence in fences {
            let lease = self.leases.entry(fence.partition).or_default();
            if lease.epoch == fence.epoch && lease.owner.as_deref() == Some(owner) {
                change(lease);
                held.push(*fence);
            }
        }
        held
    }
}

fn receipt(command: &CommandAppend, first_position: u64) -> Receipt {
    Receipt {
        command_id: command.command_id,
        issuer: command.issuer.clone(),
        request_hash: command.request_hash,
        first_position,
        event_count: u32::try_from(command.events.len()).unwrap_or(u32::MAX),
        answer: command.answer.clone(),
    }
}
