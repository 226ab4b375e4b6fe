//! Seeded simulation of the command pipeline: the shipped processor over a simulated log, bus, clock and chance. One
//! seed is one history, the same each time; what goes wrong in one can be looked at as often as it takes.

mod bus;
mod check;
mod client;
mod clock;
mod ledger;
mod life;
mod log;
mod mix;
mod planted;
mod ports;
mod process;
mod reader;
mod store;
mod workload;
mod world;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::clock::elapsed_ms;
pub use crate::planted::Planted;
use crate::reader::View;
use crate::world::World;

/// So long faults happen and clients begin new commands.
const FAULTS_MS: u64 = 20_000;
/// So long after the last fault everything must be answered: a lease runs out, and a processor starts anew.
const ANSWERS_WITHIN: Duration = Duration::from_mins(1);
/// So long after that the bus must be empty: a message whose acknowledgement was lost comes again after two minutes.
const BUS_EMPTY_WITHIN: Duration = Duration::from_mins(5);

/// What became of one seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// Simulated time.
    pub simulated_ms: u64,
    /// Commands that clients sent, copies not counted.
    pub commands: u64,
    /// Events in the log at the end.
    pub events: u64,
    /// How often each fault happened.
    pub faults: BTreeMap<&'static str, u64>,
    /// What may happen, and is worth a count.
    pub observed: BTreeMap<&'static str, u64>,
    /// What was broken.
    pub violations: Vec<String>,
    /// The hash of everything that happened.
    pub trace_sha256: String,
}

/// Runs one seed to its end; `echo` writes the trace to standard error.
pub fn run(seed: u64, planted: Option<Planted>, echo: bool) -> std::io::Result<Report> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    Ok(runtime.block_on(simulate(seed, planted, echo)))
}

async fn simulate(seed: u64, planted: Option<Planted>, echo: bool) -> Report {
    clock::begin();
    let world = Arc::new(World::new(seed, planted, echo, workload::genesis()));
    let database = Arc::new(Mutex::new(View::default()));
    let mut system = JoinSet::new();
    for index in 1..=world.mix.processes {
        system.spawn(process::keep_running(Arc::clone(&world), index));
    }
    system.spawn(reader::follow(Arc::clone(&world), Arc::clone(&database)));
    let mut clients = JoinSet::new();
    clients.spawn(client::administer(Arc::clone(&world)));
    for feed in 1..=world.mix.feeds {
        clients.spawn(client::work(Arc::clone(&world), feed, FAULTS_MS));
    }
    tokio::time::sleep(Duration::from_millis(FAULTS_MS)).await;
    world.stop_faults();
    let answered = async { while clients.join_next().await.is_some() {} };
    // Whoever is not answered then is found among the open requests.
    let _ = tokio::time::timeout(ANSWERS_WITHIN, answered).await;
    let emptied = async {
        while !world.bus.remaining().is_empty() || reader::lock(&database).checkpoint < world.store().head() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    let _ = tokio::time::timeout(BUS_EMPTY_WITHIN, emptied).await;
    if let Some(Err(ended)) = system.try_join_next() {
        world.violated(format_args!("a process panicked: {ended}"));
    }
    system.shutdown().await;
    let view = reader::lock(&database).clone();
    check::all(&world, &view).await;
    report(seed, &world)
}

fn report(seed: u64, world: &World) -> Report {
    let trace = world.trace();
    Report {
        seed,
        simulated_ms: elapsed_ms(),
        commands: world.ledger().requests,
        events: world.store().head(),
        faults: trace.faults.clone(),
        observed: trace.observed.clone(),
        violations: trace.violations.clone(),
        trace_sha256: trace.sha256(),
    }
}
