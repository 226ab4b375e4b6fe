//! Aggregates folded from the events that pass by; those that were not seen whole are loaded from the log.

use std::num::NonZeroUsize;

use cqrs_es::Aggregate;
use lru::LruCache;
use nsl_domain::decision::Recorded;
use nsl_event_store::{EventReader, LoadError, RecordedEvent};
use nsl_schemas::event::WireEvent;

/// The last used aggregates of one type, each with its version.
pub(super) struct Folded<A>(LruCache<String, (u64, A)>);

impl<A, E> Folded<A>
where
    A: Aggregate<Event = Recorded<E>>,
    E: WireEvent,
{
    pub(super) fn new(kept: NonZeroUsize) -> Self {
        Self(LruCache::new(kept))
    }

    /// Takes in the next event of an aggregate.
    pub(super) fn observe(&mut self, recorded: &RecordedEvent, event: E) {
        if recorded.sequence == 1 {
            self.0.put(recorded.aggregate_id.clone(), (0, A::default()));
        }
        let Some((version, state)) = self.0.get_mut(&recorded.aggregate_id) else { return };
        if *version + 1 == recorded.sequence {
            state.apply(Recorded(event));
            *version = recorded.sequence;
        } else if *version < recorded.sequence {
            // Something was missed: load it when it is asked for.
            self.0.pop(&recorded.aggregate_id);
        }
    }

    /// An aggregate as it is now.
    pub(super) async fn get(&mut self, reader: &EventReader, aggregate_id: &str) -> Result<&A, LoadError> {
        if !self.0.contains(aggregate_id) {
            let (state, version) = reader.load_aggregate::<A>(aggregate_id, Recorded::decode).await?;
            self.0.put(aggregate_id.to_owned(), (version, state));
        }
        Ok(&self.0.get_or_insert(aggregate_id.to_owned(), Default::default).1)
    }
}
