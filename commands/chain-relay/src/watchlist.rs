//! The transactions that are followed, and what the blocks said about each.
//!
//! A transaction is put on the list before it is looked up. So a block either was readable at the look-up, or is told
//! here afterwards: none falls between.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nsl_neo::Hash256;
use nsl_neo_rpc::Block;
use tokio::sync::watch;
use uuid::Uuid;

use crate::metrics::Metrics;

/// A block that holds a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) index: u32,
    pub(crate) hash: Hash256,
}

/// What the blocks said since a transaction was put on the list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sighting {
    /// The last block that was read; none until the node was reached.
    pub(crate) tip: Option<u32>,
    /// The block that holds the transaction, if one was seen.
    pub(crate) holder: Option<Holder>,
}

/// The list. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Watchlist {
    state: Arc<Mutex<State>>,
    metrics: Metrics,
}

#[derive(Debug, Default)]
struct State {
    tip: Option<u32>,
    watched: HashMap<Hash256, Watched>,
}

#[derive(Debug)]
struct Watched {
    job_id: Uuid,
    sequence: u64,
    sightings: watch::Sender<Sighting>,
}

/// What putting a job on the list came to.
#[derive(Debug)]
pub(crate) enum Entered {
    /// It is followed from now on.
    New(Watch),
    /// This very message was delivered again: the first delivery's acknowledgement will be for both.
    Redelivered,
    /// Another message of the same job, which one acknowledgement does not cover.
    Copy,
    /// Another job about the same transaction is under way.
    Taken { job_id: Uuid },
}

/// A place on the list, given up when dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    list: Watchlist,
    transaction: Hash256,
    pub(crate) sightings: watch::Receiver<Sighting>,
}

impl Watchlist {
    pub(crate) fn new(metrics: Metrics) -> Self {
        Self { state: Arc::default(), metrics }
    }

    /// Follows the transaction of message `sequence` of the job stream.
    pub(crate) fn enter(&self, transaction: Hash256, job_id: Uuid, sequence: u64) -> Entered {
        let mut state = self.lock();
        let tip = state.tip;
        match state.watched.entry(transaction) {
            Entry::Occupied(entry) => {
                let Watched { job_id: earlier, sequence: first, .. } = entry.get();
                match (*earlier == job_id, *first == sequence) {
                    (true, true) => Entered::Redelivered,
                    (true, false) => Entered::Copy,
                    (false, _) => Entered::Taken { job_id: *earlier },
                }
            }
            Entry::Vacant(entry) => {
                let (sender, sightings) = watch::channel(Sighting { tip, holder: None });
                entry.insert(Watched { job_id, sequence, sightings: sender });
                self.metrics.watched(state.watched.len());
                Entered::New(Watch { list: self.clone(), transaction, sightings })
            }
        }
    }

    /// The block that is to be read next, when the chain has `block_count`; none when all were read. With nothing to
    /// look for, or at the start, the blocks so far need no reading: whoever enters later looks them up.
    pub(crate) fn next_unread(&self, block_count: u32) -> Option<u32> {
        let mut state = self.lock();
        let newest = block_count.checked_sub(1)?;
        match state.tip {
            Some(tip) if tip >= newest => None,
            Some(tip) if !state.watched.is_empty() => Some(tip + 1),
            _ => {
                state.tip = Some(newest);
                self.metrics.tip(newest);
                // Whoever entered before the node was first reached waits for a tip.
                for watched in state.watched.values() {
                    watched.sightings.send_modify(|sighting| sighting.tip = Some(newest));
                }
                None
            }
        }
    }

    /// Tells everybody on the list about a block, each in the order of heights.
    pub(crate) fn tell(&self, block: &Block) {
        let mut state = self.lock();
        state.tip = Some(block.index);
        self.metrics.tip(block.index);
        let holder = Holder { index: block.index, hash: block.hash };
        for transaction in &block.transaction_hashes {
            if let Some(watched) = state.watched.get(transaction) {
                watched.sightings.send_modify(|sighting| sighting.holder = Some(holder));
            }
        }
        for watched in state.watched.values() {
            watched.sightings.send_modify(|sighting| sighting.tip = Some(block.index));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut state = self.list.lock();
        state.watched.remove(&self.transaction);
        self.list.metrics.watched(state.watched.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> Watchlist {
        Watchlist::new(Metrics::register(&nsl_telemetry::Metrics::new().unwrap()).unwrap())
    }

    fn hash(byte: u8) -> Hash256 {
        Hash256::from_le_bytes([byte; 32])
    }

    fn block(index: u32, transaction_hashes: Vec<Hash256>) -> Block {
        Block { hash: hash(200), index, previous_hash: hash(199), timestamp_ms: 0, transaction_hashes }
    }

    fn enter(list: &Watchlist, transaction: u8, job: u128, sequence: u64) -> Entered {
        list.enter(hash(transaction), Uuid::from_u128(job), sequence)
    }

    fn entered(list: &Watchlist, transaction: u8) -> Watch {
        match enter(list, transaction, u128::from(transaction), u64::from(transaction)) {
            Entered::New(watch) => watch,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn repeats_of_a_job_are_told_from_new_ones_until_it_is_done() {
        let list = list();
        let watch = entered(&list, 1);
        assert!(matches!(enter(&list, 1, 1, 1), Entered::Redelivered));
        assert!(matches!(enter(&list, 1, 1, 2), Entered::Copy));
        assert!(matches!(enter(&list, 1, 9, 3), Entered::Taken { job_id } if job_id == Uuid::from_u128(1)));
        drop(watch);
        assert!(matches!(enter(&list, 1, 1, 2), Entered::New(_)));
    }

    #[test]
    fn every_block_is_read_once_in_order_while_somebody_waits() {
        let list = list();
        assert_eq!(list.next_unread(0), None);
        assert_eq!(list.next_unread(10), None, "nobody waits: the blocks so far are skipped");
        let watch = entered(&list, 1);
        assert_eq!(watch.sightings.borrow().tip, Some(9));
        for index in [10, 11] {
            assert_eq!(list.next_unread(12), Some(index));
            list.tell(&block(index, vec![]));
        }
        assert_eq!(list.next_unread(12), None);
        assert_eq!(list.next_unread(5), None, "a node that lags gives nothing new");
        drop(watch);
        assert_eq!(list.next_unread(20), None);
        assert_eq!(entered(&list, 1).sightings.borrow().tip, Some(19));
    }

    #[test]
    fn a_block_is_told_to_all_and_held_against_the_one_it_holds() {
        let list = list();
        let early = entered(&list, 1);
        assert_eq!(*early.sightings.borrow(), Sighting::default());
        assert_eq!(list.next_unread(3), None);
        assert_eq!(early.sightings.borrow().tip, Some(2), "who came before the first block count hears it");
        let other = entered(&list, 2);
        list.tell(&block(3, vec![hash(9), hash(1)]));
        list.tell(&block(4, vec![]));
        let holder = Some(Holder { index: 3, hash: hash(200) });
        assert_eq!(*early.sightings.borrow(), Sighting { tip: Some(4), holder });
        assert_eq!(*other.sightings.borrow(), Sighting { tip: Some(4), holder: None });
    }
}
