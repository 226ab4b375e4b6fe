//! A reader of the log with a read model, as projections are: it keeps its checkpoint in the transaction of its view,
//! goes on from it after a crash, and stops at an event that it does not know until it is upgraded.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use nsl_commands::ports::Log as _;
use nsl_event_store::{Filter, RecordedEvent};

use crate::clock;
use crate::life::Life;
use crate::log::SimulatedLog;
use crate::planted::Planted;
use crate::world::World;

/// Events of one transaction.
const PAGE_EVENTS: u32 = 7;
/// The event that the reader learns to read by an upgrade.
const NEW_EVENT: &str = "command-rejected";

/// What the reader's database holds.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct View {
    /// Where to go on.
    pub(crate) checkpoint: u64,
    /// Every event in the order in which it was taken in.
    pub(crate) seen: Vec<u64>,
    /// Per stream, how many events, and the last one's payload.
    pub(crate) streams: BTreeMap<String, (u64, String)>,
}

impl View {
    pub(crate) fn apply(&mut self, event: &RecordedEvent) {
        self.seen.push(event.position);
        let stream = format!("{}/{}", event.aggregate_type, event.aggregate_id);
        let (count, last) = self.streams.entry(stream).or_default();
        *count += 1;
        last.clone_from(&event.payload);
    }
}

/// Follows the log for ever.
pub(crate) async fn follow(world: Arc<World>, database: Arc<Mutex<View>>) {
    let life = Arc::new(Life::new("reader".to_owned()));
    let log = SimulatedLog { world: Arc::clone(&world), life };
    let upgrade_ms = world.between(1_000, 25_000);
    loop {
        world.delay(10, 300).await;
        let knows_all = clock::elapsed_ms() >= upgrade_ms;
        take_in(&world, &log, &database, knows_all).await;
    }
}

/// One page in one transaction; a crash on the way begins again from what is durable.
async fn take_in(world: &World, log: &SimulatedLog, database: &Mutex<View>, knows_all: bool) {
    let after = lock(database).checkpoint;
    let Ok(mut page) = log.read(after, PAGE_EVENTS, &Filter::default()).await else { return };
    let is_unknown = |event: &RecordedEvent| !knows_all && event.event_type == NEW_EVENT;
    if world.has(Planted::DropUnknown) {
        page.events.retain(|event| !is_unknown(event));
    } else if let Some(index) = page.events.iter().position(is_unknown) {
        page.position = page.events[index].position - 1;
        page.events.truncate(index);
    }
    if world.fault("reader crashes before its commit", world.mix.reader_crash) {
        return;
    }
    let mut view = lock(database).clone();
    for event in &page.events {
        view.apply(event);
    }
    if world.has(Planted::CheckpointOutside) {
        *lock(database) = view.clone();
        if world.fault("reader crashes before its checkpoint", world.mix.reader_crash) {
            return;
        }
    }
    view.checkpoint = page.position;
    *lock(database) = view;
}

pub(crate) fn lock(database: &Mutex<View>) -> std::sync::MutexGuard<'_, View> {
    database.lock().unwrap_or_else(PoisonError::into_inner)
}
