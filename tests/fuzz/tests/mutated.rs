//! Every target returns for mutated samples, without growing. The longer search is `cargo dev fuzz`.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::panic::catch_unwind;

use fastrand::Rng;
use nsl_fuzz::{TARGETS, find, samples};
use nsl_test_site::mutate;

/// Inputs for each target: a second or two of an unoptimised build.
const INPUTS: u64 = 20_000;
/// Changes that one input is made of, at most.
const CHANGES_MAX: usize = 4;
/// How far the process may grow over all inputs; the largest sample has some KiB, so any length that is believed shows.
const GROWTH_BYTES_MAX: u64 = 64 * 1024 * 1024;

fn peak_memory_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn every_target_returns_for_mutated_samples_and_does_not_grow() {
    let samples = samples().unwrap();
    assert!(samples.len() > 50, "{} samples", samples.len());
    let before = peak_memory_bytes();
    for target in TARGETS {
        for number in 0..INPUTS {
            let mut random = Rng::with_seed(number);
            let mut input = random.choice(&samples).unwrap().clone();
            // Some stay as they are: each sample is somebody's valid input.
            for _ in 0..random.usize(..=CHANGES_MAX) {
                mutate(&mut random, &mut input);
            }
            let returned = catch_unwind(|| (target.run)(&input));
            assert!(returned.is_ok(), "{} does not return for {}", target.name, hex::encode(&input));
        }
    }
    let grown = peak_memory_bytes() - before;
    assert!(grown < GROWTH_BYTES_MAX, "grown by {grown} bytes");
}

#[test]
fn targets_are_found_by_their_names_alone() {
    for target in TARGETS {
        assert_eq!(find(target.name).unwrap().name, target.name);
    }
    assert!(find("").is_none());
}
