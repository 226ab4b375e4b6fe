//! The simulation tried on itself: it passes, it repeats itself, and it catches what was planted.

use nsl_simulation::{Planted, run};

/// As `cargo dev sim --planted` gives each bug.
const PLANTED_SEEDS: u64 = 200;

#[test]
fn seeds_pass_under_every_fault() {
    let mut faults = std::collections::BTreeMap::<&str, u64>::new();
    for seed in 1..=20 {
        let report = run(seed, None, false).unwrap();
        assert_eq!(report.violations, Vec::<String>::new(), "seed {seed}");
        assert!(report.commands > 0 && report.events > 0, "seed {seed} does nothing");
        report.faults.iter().for_each(|(kind, count)| *faults.entry(kind).or_default() += count);
    }
    for kind in ["crash", "freeze", "stop", "connection broken", "outcome unknown", "leases unavailable"] {
        assert!(faults.contains_key(kind), "no {kind} in {faults:?}");
    }
}

#[test]
fn a_seed_is_one_history() {
    for seed in 1..=20 {
        assert_eq!(run(seed, None, false).unwrap(), run(seed, None, false).unwrap());
    }
    assert_ne!(run(1, None, false).unwrap().trace_sha256, run(2, None, false).unwrap().trace_sha256);
}

#[test]
fn every_planted_bug_is_caught() {
    for planted in Planted::ALL {
        let caught =
            (1..=PLANTED_SEEDS).any(|seed| !run(seed, Some(planted), false).unwrap().violations.is_empty());
        assert!(caught, "{}", planted.name());
    }
}
