//! Which partitions this processor owns. Processors share them evenly: each holds its share, takes what is free up to
//! it, and gives back what is beyond it when others join (ADR 19).
//!
//! A partition is given back in good order: its consumer stops taking, what was taken is finished, then the lease is
//! released. Nothing depends on that order but the time it takes: the fence refuses what comes too late.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nsl_event_store::{EventStore, Fence, LeaseError, Share};
use nsl_telemetry::readiness::Gate;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::consumer::Intake;
use crate::failpoints;
use crate::tenure::Tenure;

/// Chances to renew within a lease.
const TICKS_A_LEASE: u32 = 3;
/// Partitions that start to be given back at one tick: an eighth of all, so that a new processor takes over in steps and
/// most commands never meet one.
const GIVEN_BACK_MAX: usize = 8;
/// How often it is looked whether everything of a partition that is given back is finished.
const DRAIN_POLL: Duration = Duration::from_millis(20);

/// Owns leases and the consumers under them.
pub(crate) struct Partitions {
    /// The leases' place.
    pub store: EventStore,
    /// In the leases: `<configured name>/<run>`, so that no other run has the same.
    pub owner: String,
    /// How long a lease lasts without renewal.
    pub lease_ttl: Duration,
    /// What consumers need.
    pub intake: Arc<Intake>,
    /// Open while the leases are renewed.
    pub gate: Gate,
}

/// The partitions of this processor.
#[derive(Default)]
struct Roster {
    /// Whether earlier runs of this processor are known to be over.
    has_begun: bool,
    held: HashMap<u16, Held>,
    /// Those that are being given back.
    leaving: HashMap<u16, Leaving>,
    /// Whether there was a surplus at the last tick. One tick's surplus may be that of a processor which joins and is
    /// gone again.
    had_surplus: bool,
}

struct Held {
    tenure: Arc<Tenure>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

struct Leaving {
    held: Held,
    /// What is not finished by then is left to the next owner.
    until: Instant,
}

impl Partitions {
    /// Holds its share until `stop`, then gives everything back after the consumers have stopped taking.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut roster = Roster::default();
        let mut ticks = tokio::time::interval(self.lease_ttl / TICKS_A_LEASE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => self.tick(&mut roster).await,
                () = tokio::time::sleep(DRAIN_POLL), if !roster.leaving.is_empty() => {}
                () = stop.cancelled() => break,
            }
            self.release(&mut roster).await;
        }
        self.leave(roster).await;
    }

    async fn tick(&self, roster: &mut Roster) {
        if let Err(error) = self.settle(roster).await {
            self.gate.close(error.to_string());
            tracing::warn!(error = &error as &dyn std::error::Error, "leases cannot be renewed");
            return;
        }
        self.gate.open();
        let held = i64::try_from(roster.held.len()).unwrap_or(i64::MAX);
        self.intake.metrics.partitions.with_label_values::<&str>(&[]).set(held);
    }

    /// One look at the leases: keeps them, drops what was lost, and moves towards the share.
    async fn settle(&self, roster: &mut Roster) -> Result<(), LeaseError> {
        if !roster.has_begun {
            // What an earlier run held need not wait for its expiry: a process that died is back at work at once.
            self.store.supersede_processors(&self.owner).await?;
            roster.has_begun = true;
        }
        let share = self.store.join_processors(&self.owner, self.lease_ttl).await?;
        let ends = Instant::now() + self.lease_ttl;
        let renewed = self.store.renew_partitions(&self.owner, &roster.fences(), self.lease_ttl).await?;
        failpoints::PARTITIONS_RENEWED.reach();
        let lost = roster.keep(&renewed, ends);
        self.count_moves("lost", lost);
        let given_back = roster.give_back(share, Instant::now() + self.drain_limit());
        self.count_moves("given_back", given_back);
        self.claim(roster, share).await
    }

    async fn claim(&self, roster: &mut Roster, share: Share) -> Result<(), LeaseError> {
        let held = u16::try_from(roster.held.len()).unwrap_or(u16::MAX);
        let wanted = share.quota().saturating_sub(held);
        if wanted == 0 {
            return Ok(());
        }
        let ours: Vec<u16> = roster.held.keys().chain(roster.leaving.keys()).copied().collect();
        let ends = Instant::now() + self.lease_ttl;
        let claimed = self.store.claim_partitions(&self.owner, &ours, wanted, self.lease_ttl).await?;
        failpoints::PARTITIONS_CLAIMED.reach();
        self.count_moves("claimed", claimed.len());
        if !claimed.is_empty() {
            let Share { processors, rank: _ } = share;
            tracing::info!(claimed = claimed.len(), processors, quota = share.quota(), "partitions taken");
        }
        for fence in claimed {
            let (tenure, stop) = (Arc::new(Tenure::begin(fence, ends)), CancellationToken::new());
            let consume = Arc::clone(&self.intake).consume(Arc::clone(&tenure), stop.clone());
            roster.held.insert(fence.partition, Held { tenure, stop, task: tokio::spawn(consume) });
        }
        Ok(())
    }

    /// Releases what is finished, and what was waited for long enough.
    async fn release(&self, roster: &mut Roster) {
        let fences = roster.take_finished(Instant::now());
        if fences.is_empty() {
            return;
        }
        if let Err(error) = self.store.release_partitions(&self.owner, &fences).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "leases run out by themselves");
        }
    }

    /// Gives everything back. The processor works until the queue is closed, which the end of this does.
    async fn leave(&self, mut roster: Roster) {
        if let Err(error) = self.store.leave_processors(&self.owner).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the share runs out by itself");
        }
        roster.give_back_all(Instant::now() + self.drain_limit());
        while !roster.leaving.is_empty() {
            self.release(&mut roster).await;
            tokio::time::sleep(DRAIN_POLL).await;
        }
    }

    /// Half a lease: at the shutdown nobody renews it any more.
    fn drain_limit(&self) -> Duration {
        self.lease_ttl / 2
    }

    fn count_moves(&self, reason: &str, count: usize) {
        self.intake.metrics.partition_moves.with_label_values(&[reason]).inc_by(count as u64);
    }
}

impl Roster {
    /// All leases, those too that are being given back.
    fn fences(&self) -> Vec<Fence> {
        let leaving = self.leaving.values().map(|one| &one.held);
        self.held.values().chain(leaving).map(|one| one.tenure.fence()).collect()
    }

    /// Prolongs what was renewed and drops the rest, and answers how many were lost. What was renewed too late is lost
    /// too: commands may have been dropped meanwhile, and only a new consumer brings them again.
    fn keep(&mut self, renewed: &[Fence], ends: Instant) -> usize {
        let keeps = |held: &Held| {
            let keeps = renewed.contains(&held.tenure.fence())
                && held.tenure.prolong(ends)
                && !held.task.is_finished();
            if !keeps {
                let Fence { partition, epoch } = held.tenure.fence();
                tracing::warn!(partition, epoch, "lease lost");
                held.end();
            }
            keeps
        };
        let before = self.held.len();
        self.held.retain(|_, held| keeps(held));
        // A consumer that has stopped taking is what leaving means.
        self.leaving
            .retain(|_, one| renewed.contains(&one.held.tenure.fence()) && one.held.tenure.prolong(ends));
        before - self.held.len()
    }

    /// Begins to give back what is beyond the share, a few at a time, once the surplus has lasted.
    fn give_back(&mut self, share: Share, until: Instant) -> usize {
        let surplus = self.held.len().saturating_sub(usize::from(share.quota()));
        if !std::mem::replace(&mut self.had_surplus, surplus > 0) {
            return 0;
        }
        // The highest numbers, so that a processor which joins and leaves moves the same few.
        let mut partitions: Vec<u16> = self.held.keys().copied().collect();
        partitions.sort_unstable();
        let given_back = partitions.split_off(partitions.len() - surplus.min(GIVEN_BACK_MAX));
        for partition in &given_back {
            self.begin_leaving(*partition, until);
        }
        given_back.len()
    }

    fn give_back_all(&mut self, until: Instant) {
        for partition in self.held.keys().copied().collect::<Vec<_>>() {
            self.begin_leaving(partition, until);
        }
    }

    fn begin_leaving(&mut self, partition: u16, until: Instant) {
        if let Some(held) = self.held.remove(&partition) {
            held.stop.cancel();
            self.leaving.insert(partition, Leaving { held, until });
        }
    }

    /// Takes out those of the leaving that nothing holds any more, or whose time is over.
    fn take_finished(&mut self, now: Instant) -> Vec<Fence> {
        let finished = |one: &Leaving| {
            let is_finished = one.held.is_idle() || now >= one.until;
            if is_finished {
                one.held.end();
            }
            is_finished
        };
        self.leaving.extract_if(|_, one| finished(one)).map(|(_, one)| one.held.tenure.fence()).collect()
    }
}

impl Held {
    /// Whether nothing of the partition is taken, queued or being decided.
    fn is_idle(&self) -> bool {
        self.task.is_finished() && Arc::strong_count(&self.tenure) == 1
    }

    /// From here on nothing of the partition is decided or answered.
    fn end(&self) {
        self.tenure.end();
        self.stop.cancel();
    }
}

#[cfg(test)]
mod tests;
