//! `nsl-simulation`: runs seeds, says what happened in them, and how to run a failing one again.
#![allow(clippy::print_stdout, reason = "a command-line program talks on it")]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use nsl_simulation::{Planted, Report, run};

/// Seeds within which a planted bug must be found.
const PLANTED_SEEDS: u64 = 200;

#[derive(Parser)]
#[command(name = "nsl-simulation", about)]
struct Arguments {
    /// How many seeds
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 1)]
    first_seed: u64,
    /// Only this one, with its trace on standard error
    #[arg(long, conflicts_with_all = ["seeds", "first_seed"])]
    seed: Option<u64>,
    /// Put each of the planted bugs in as well, until it is found
    #[arg(long)]
    planted: bool,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let (seeds, echo) = if let Some(seed) = arguments.seed {
        (seed..=seed, true)
    } else {
        let last = arguments.first_seed.saturating_add(arguments.seeds).saturating_sub(1);
        (arguments.first_seed..=last, false)
    };
    let mut passed = run_seeds(seeds, echo, arguments.json)?;
    if arguments.planted {
        for planted in Planted::ALL {
            passed &= find(planted, arguments.json)?;
        }
    }
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs seeds as they are; whether nothing was broken.
fn run_seeds(seeds: std::ops::RangeInclusive<u64>, echo: bool, json: bool) -> anyhow::Result<bool> {
    let began = Instant::now();
    let mut total = Total::default();
    for seed in seeds {
        let report = run(seed, None, echo)?;
        for violation in &report.violations {
            if json {
                println!("{}", serde_json::json!({ "seed": seed, "violation": violation }));
            } else {
                println!("seed {seed}: {violation}");
            }
        }
        if !report.violations.is_empty() && !json {
            println!("run it again: cargo dev sim --seed {seed}");
        }
        total.add(&report);
    }
    total.print(began.elapsed().as_secs_f64(), json);
    Ok(total.failed == 0)
}

#[derive(Default)]
struct Total {
    seeds: u64,
    failed: u64,
    violations: usize,
    simulated_ms: u64,
    commands: u64,
    events: u64,
    faults: BTreeMap<&'static str, u64>,
    observed: BTreeMap<&'static str, u64>,
}

impl Total {
    fn add(&mut self, report: &Report) {
        self.seeds += 1;
        self.failed += u64::from(!report.violations.is_empty());
        self.violations += report.violations.len();
        self.simulated_ms += report.simulated_ms;
        self.commands += report.commands;
        self.events += report.events;
        for (kind, count) in &report.faults {
            *self.faults.entry(kind).or_default() += count;
        }
        for (kind, count) in &report.observed {
            *self.observed.entry(kind).or_default() += count;
        }
    }

    fn print(&self, seconds: f64, json: bool) {
        let Self { seeds, failed, violations, simulated_ms, commands, events, faults, observed } = self;
        if json {
            let line = serde_json::json!({
                "seeds": seeds, "failed": failed, "violations": violations, "simulated_s": simulated_ms / 1000,
                "commands": commands, "events": events, "faults": faults,
                "observed": observed, "seconds": seconds,
            });
            println!("{line}");
            return;
        }
        println!(
            "{seeds} seeds, {failed} failed, {violations} violations; {} simulated seconds in {seconds:.1}; \
             {commands} commands, {events} events",
            simulated_ms / 1000
        );
        for (kind, count) in faults.iter().chain(observed) {
            println!("  {count:>7} {kind}");
        }
    }
}

/// Puts a bug in and looks for it; whether it was found.
fn find(planted: Planted, json: bool) -> anyhow::Result<bool> {
    let mut found = None;
    for seed in 1..=PLANTED_SEEDS {
        if let Some(violation) = run(seed, Some(planted), false)?.violations.into_iter().next() {
            found = Some((seed, violation));
            break;
        }
    }
    let (seed, violation) = found.clone().unzip();
    if json {
        let line = serde_json::json!({
            "planted": planted.name(), "caught": found.is_some(), "seed": seed, "violation": violation,
        });
        println!("{line}");
    } else if let Some((seed, violation)) = &found {
        println!("planted {}: caught by seed {seed}: {violation}", planted.name());
    } else {
        println!("planted {}: NOT caught in {PLANTED_SEEDS} seeds", planted.name());
    }
    Ok(found.is_some())
}
