//! What everything in one simulation shares: chance, faults, the trace, and what went wrong.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nsl_domain::decision::Genesis;
use sha2::{Digest, Sha256};

use crate::bus::Bus;
use crate::clock;
use crate::ledger::Ledger;
use crate::mix::Mix;
use crate::planted::Planted;
use crate::store::Store;

/// Violations that are kept: the first tells most, and a broken run has thousands.
const VIOLATIONS_MAX: usize = 20;

/// One simulation.
pub(crate) struct World {
    pub(crate) planted: Option<Planted>,
    pub(crate) mix: Mix,
    pub(crate) genesis: Arc<Genesis>,
    pub(crate) bus: Bus,
    store: Mutex<Store>,
    ledger: Mutex<Ledger>,
    chance: Mutex<fastrand::Rng>,
    trace: Mutex<Trace>,
    faults_on: AtomicBool,
}

/// What happened.
pub(crate) struct Trace {
    hash: Sha256,
    echo: bool,
    pub(crate) faults: BTreeMap<&'static str, u64>,
    /// What may happen, and is worth a count.
    pub(crate) observed: BTreeMap<&'static str, u64>,
    pub(crate) violations: Vec<String>,
}

impl World {
    pub(crate) fn new(seed: u64, planted: Option<Planted>, echo: bool, genesis: Arc<Genesis>) -> Self {
        let mut chance = fastrand::Rng::with_seed(seed);
        let mix = Mix::draw(&mut chance);
        let (hash, faults, observed) = (Sha256::new(), BTreeMap::new(), BTreeMap::new());
        let trace = Trace { hash, echo, faults, observed, violations: Vec::new() };
        Self {
            planted,
            mix,
            genesis,
            bus: Bus::new(),
            store: Mutex::new(Store::new()),
            ledger: Mutex::default(),
            chance: Mutex::new(chance),
            trace: Mutex::new(trace),
            faults_on: AtomicBool::new(true),
        }
    }

    pub(crate) fn has(&self, planted: Planted) -> bool {
        self.planted == Some(planted)
    }

    pub(crate) fn store(&self) -> MutexGuard<'_, Store> {
        lock(&self.store)
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    pub(crate) fn trace(&self) -> MutexGuard<'_, Trace> {
        lock(&self.trace)
    }

    /// A number from `low` to `high`.
    pub(crate) fn between(&self, low: u64, high: u64) -> u64 {
        lock(&self.chance).u64(low..=high)
    }

    /// True so many times in a thousand.
    pub(crate) fn chance(&self, per_mille: u64) -> bool {
        self.between(0, 999) < per_mille
    }

    /// Whether a fault happens now; it counts then.
    pub(crate) fn fault(&self, kind: &'static str, per_mille: u64) -> bool {
        let happens = self.faults_on.load(Ordering::Relaxed) && self.chance(per_mille);
        if happens {
            *self.trace().faults.entry(kind).or_default() += 1;
            self.note(format_args!("fault {kind}"));
        }
        happens
    }

    /// From here on the world is kind.
    pub(crate) fn stop_faults(&self) {
        self.faults_on.store(false, Ordering::Relaxed);
    }

    /// Waits between `low_ms` and `high_ms`.
    pub(crate) async fn delay(&self, low_ms: u64, high_ms: u64) {
        let milliseconds = self.between(low_ms, high_ms);
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    }

    /// Writes the trace.
    #[allow(clippy::print_stderr, reason = "it is asked for by `--seed`")]
    pub(crate) fn note(&self, what: fmt::Arguments<'_>) {
        let line = format!("{} {what}\n", clock::elapsed_ms());
        let mut trace = self.trace();
        trace.hash.update(line.as_bytes());
        if trace.echo {
            eprint!("{line}");
        }
    }

    /// An invariant is broken.
    pub(crate) fn violated(&self, what: fmt::Arguments<'_>) {
        self.note(format_args!("VIOLATION {what}"));
        let mut trace = self.trace();
        if trace.violations.len() < VIOLATIONS_MAX {
            trace.violations.push(format!("at {} ms: {what}", clock::elapsed_ms()));
        }
    }
}

impl Trace {
    pub(crate) fn sha256(&self) -> String {
        hex::encode(self.hash.clone().finalize())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
