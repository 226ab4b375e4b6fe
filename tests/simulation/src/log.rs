//! The processor's port to the simulated log, with all that can go wrong on the way there and back.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use nsl_commands::aggregates::{StreamKey, Versioned};
use nsl_commands::ports::Log;
use nsl_event_store::{
    AppendError, Appended, CommandAppend, Filter, LoadError, Page, ReadError, Receipt, Refusal, check_batch,
};
use tokio::time::Instant;
use uuid::Uuid;

use crate::life::Life;
use crate::planted::Planted;
use crate::world::World;

/// The price by which the simulated database knows data that it cannot hold.
pub(crate) const UNSTORABLE: &str = "\"price_e8\":\"666\"";
/// The epoch that a processor is shown under [`Planted::StaleCache`].
pub(crate) const SHOWN_EPOCH: i64 = 1;

/// As long as the server works on a statement at most.
const LATE_MS_MAX: u64 = 10_000;

/// One process' way to the log.
#[derive(Clone)]
pub(crate) struct SimulatedLog {
    pub(crate) world: Arc<World>,
    pub(crate) life: Arc<Life>,
}

impl Log for SimulatedLog {
    async fn append(&self, batch: &[CommandAppend]) -> Result<Appended, AppendError> {
        check_batch(batch)?;
        let mut batch = batch.to_vec();
        self.life.failpoint(&self.world, "before an append").await;
        self.show_true_epochs(&mut batch);
        if self.world.has(Planted::RejectionNotRecorded) {
            batch.retain(|command| command.aggregate_type != "rejection");
        }
        if batch.is_empty() {
            return Ok(self.claimed());
        }
        let is_away = self.world.store().is_away();
        if is_away || self.world.fault("append unavailable", self.world.mix.unavailable) {
            self.world.delay(0, 50).await;
            return Err(AppendError::Unavailable { source: Arc::new(unreachable()) });
        }
        if self.world.has(Planted::AnswerBeforeCommit) {
            let (claimed, late) = (self.claimed(), self.clone());
            tokio::spawn(async move { late.transmit(&batch).await });
            return Ok(claimed);
        }
        let outcome = self.transmit(&batch).await;
        self.life.failpoint(&self.world, "after an append").await;
        outcome.map_err(|error| self.hide_epochs(error))
    }

    async fn receipts(&self, command_ids: &[Uuid]) -> Result<HashMap<Uuid, Receipt>, ReadError> {
        self.ask("receipts").await?;
        let found = |store: &crate::store::Store| {
            let receipt = |id: &Uuid| Some((*id, store.receipts.get(id)?.clone()));
            command_ids.iter().filter_map(receipt).collect()
        };
        let receipts =
            if self.world.has(Planted::NoDedup) { HashMap::new() } else { found(&self.world.store()) };
        self.hear().await;
        Ok(receipts)
    }

    async fn load(&self, key: &StreamKey) -> Result<Versioned, LoadError> {
        let (aggregate_type, aggregate_id) = (key.aggregate_type, key.aggregate_id.clone());
        self.ask("load").await.map_err(|source| LoadError::Read { aggregate_type, aggregate_id, source })?;
        let events = self.world.store().stream(key.aggregate_type, &key.aggregate_id);
        self.hear().await;
        Versioned::fold(key, &events)
    }

    async fn read(&self, after_position: u64, limit: u32, filter: &Filter) -> Result<Page, ReadError> {
        self.ask("read").await?;
        let page = self.page(after_position, limit, filter);
        self.hear().await;
        Ok(page)
    }
}

impl SimulatedLog {
    /// A request on its way; the log may not answer.
    async fn ask(&self, operation: &'static str) -> Result<(), ReadError> {
        self.life.step().await;
        self.world.delay(0, 3).await;
        let is_away = self.world.store().is_away();
        if is_away || self.world.fault("read unavailable", self.world.mix.read_failure) {
            return Err(ReadError::Unavailable { operation, source: unreachable() });
        }
        Ok(())
    }

    /// An answer on its way.
    async fn hear(&self) {
        self.world.delay(0, 3).await;
        self.life.step().await;
    }

    fn page(&self, after_position: u64, limit: u32, filter: &Filter) -> Page {
        let store = self.world.store();
        let head = store.head();
        let matches = |event: &&nsl_event_store::RecordedEvent| {
            filter.aggregate_types.is_empty() || filter.aggregate_types.contains(&event.aggregate_type)
        };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let events: Vec<_> = store
            .events
            .range(after_position + 1..)
            .map(|(_, event)| event)
            .filter(matches)
            .take(limit)
            .cloned()
            .collect();
        let position =
            if events.len() < limit { head } else { events.last().map_or(head, |last| last.position) };
        Page { events, position: position.max(after_position), head }
    }

    /// The append itself: sent, carried out by the server, answered; each part may fail.
    async fn transmit(&self, batch: &[CommandAppend]) -> Result<Appended, AppendError> {
        let world = &self.world;
        let reserved = world.has(Planted::ReaderById).then(|| world.store().reserve(batch));
        world.delay(1, 10).await;
        if world.fault("commit slow", world.mix.slow_commit) {
            world.delay(500, 12_000).await;
        }
        let breaks = world.fault("connection broken", world.mix.broken_connection);
        if breaks && world.chance(400) {
            if !world.fault("append carried out late", 700) {
                return self.settle(batch).await;
            }
            let late_by = Duration::from_millis(world.between(50, LATE_MS_MAX));
            let (late, sent) = (self.clone(), batch.to_vec());
            tokio::spawn(async move {
                tokio::time::sleep(late_by).await;
                late.carry_out(&sent, reserved)
            });
            let settled = self.settle(batch).await;
            // What broke the connection lets nobody through for a while; what was sent before lies in a buffer.
            world.store().leave_until(Instant::now() + late_by / 2);
            return settled;
        }
        let outcome = self.carry_out(batch, reserved);
        if breaks {
            return self.settle(batch).await;
        }
        world.delay(1, 5).await;
        outcome
    }

    /// What the server does, in one instant: under the head lock nothing else happens.
    fn carry_out(&self, batch: &[CommandAppend], reserved: Option<u64>) -> Result<Appended, AppendError> {
        let world = &self.world;
        let mut store = world.store();
        let mut refusal = store.refusal(batch);
        if world.has(Planted::NoDedup) {
            refusal.known.clear();
        }
        let lost = refusal.lost.clone();
        if world.has(Planted::MissingFencing) {
            refusal.lost.clear();
        }
        if refusal != Refusal::default() {
            let counts = (refusal.known.len(), refusal.stale.len(), refusal.lost.len());
            drop(store);
            world.note(format_args!("{} append refused {counts:?}", self.life.name));
            return Err(AppendError::Refused(refusal));
        }
        if batch.iter().any(|command| command.payload.contains(UNSTORABLE)) {
            return Err(AppendError::Rejected { source: Arc::new(unreachable()) });
        }
        let first = reserved.unwrap_or_else(|| store.reserve(batch));
        let appended = store.commit(batch, first);
        drop(store);
        world.note(format_args!("{} committed {} at {first}", self.life.name, batch.len()));
        if !lost.is_empty() {
            world.violated(format_args!("a processor that lost {lost:?} appended"));
        }
        Ok(appended)
    }

    /// What `EventStore` does when the connection broke: asks the receipts, or fails to.
    async fn settle(&self, batch: &[CommandAppend]) -> Result<Appended, AppendError> {
        let world = &self.world;
        world.delay(1, 50).await;
        if world.fault("outcome unknown", world.mix.settle_unavailable) {
            world.delay(50, 10_000).await;
            return match world.planted {
                Some(Planted::UnknownAsFailure) => {
                    Err(AppendError::Rejected { source: Arc::new(unreachable()) })
                }
                Some(Planted::UnknownAsSuccess) => Ok(self.claimed()),
                _ => Err(AppendError::UnknownOutcome { source: Arc::new(unreachable()) }),
            };
        }
        self.judge(batch)
    }

    /// As the store judges receipts: all of them ours and in place, none, or another's.
    fn judge(&self, batch: &[CommandAppend]) -> Result<Appended, AppendError> {
        let store = self.world.store();
        let known: Vec<_> =
            batch.iter().filter_map(|command| store.receipts.get(&command.command_id)).collect();
        let Some(first) = known.first() else {
            return Err(AppendError::Unavailable { source: Arc::new(unreachable()) });
        };
        let mut position = first.first_position;
        let mut ours = known.len() == batch.len();
        for (receipt, command) in known.iter().zip(batch) {
            ours &= receipt.first_position == position
                && receipt.request_hash == command.request_hash
                && receipt.answer == command.answer;
            position += u64::from(receipt.event_count);
        }
        if ours {
            return Ok(Appended { first_position: first.first_position, recorded_at_ms: 0 });
        }
        let known = known.iter().map(|receipt| receipt.command_id).collect();
        Err(AppendError::Refused(Refusal { known, ..Refusal::default() }))
    }

    /// What a port says that does not know.
    fn claimed(&self) -> Appended {
        Appended { first_position: self.world.store().head() + 1, recorded_at_ms: 0 }
    }

    /// Under [`Planted::StaleCache`] the processor knows no epochs, so the port does.
    fn show_true_epochs(&self, batch: &mut [CommandAppend]) {
        if self.world.has(Planted::StaleCache) {
            for command in batch {
                command.fence.epoch = self.life.epoch(command.fence.partition);
            }
        }
    }

    fn hide_epochs(&self, mut error: AppendError) -> AppendError {
        if self.world.has(Planted::StaleCache)
            && let AppendError::Refused(refusal) = &mut error
        {
            refusal.lost.iter_mut().for_each(|fence| fence.epoch = SHOWN_EPOCH);
        }
        error
    }
}

/// Why the database does not answer.
fn unreachable() -> sqlx::Error {
    sqlx::Error::PoolTimedOut
}
