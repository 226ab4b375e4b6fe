//! `cargo dev`: everything a developer runs, on real parts, with nothing to install by hand.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line program talks on them")]

mod bench;
mod bench_peers;
mod binaries;
mod ceremony;
mod check_deps;
mod contexts;
mod custodians;
mod demo;
mod doctor;
mod down;
mod fuzz;
mod generate;
mod hostile;
mod image;
mod interrupt;
mod keys;
mod layout;
mod logs;
mod nitro;
mod outcome;
mod progress;
mod report;
mod reset;
mod restart;
mod runner_record;
mod services;
mod sim;
mod status;
mod supervisor;
mod tenant;
mod test;
mod up;
mod venues;

use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};

use crate::layout::Layout;
use crate::outcome::Outcome;

#[derive(Parser)]
#[command(name = "cargo dev", bin_name = "cargo dev", about, long_about = None)]
#[command(after_help = Outcome::HELP)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start everything and keep it running
    Up(up::Arguments),
    /// Start everything and walk one story on real input, each step with its real outcome
    Demo,
    /// Pay GAS from the private chain's genesis account to an address
    Fund(demo::fund::Arguments),
    /// Give a further tenant its account, keys and context on the running site
    Tenant(tenant::Arguments),
    /// Stop everything; all data stays
    Down,
    /// Remove all data of the local site
    Reset(reset::Arguments),
    /// Show what runs and whether it is ready
    Status,
    /// Say what is missing or wrong, and how to mend it
    Doctor,
    /// Show what the processes write
    Logs(logs::Arguments),
    /// Run all tests against real services that exist only for this run
    Test(test::Arguments),
    /// Measure release builds on services that exist only for this run
    Bench(bench::Arguments),
    /// Try the command pipeline under every fault in simulated histories, each the same again by its seed
    Sim(sim::Arguments),
    /// Play the hostile parent of real workers, and print what it got
    Hostile(hostile::Arguments),
    /// Search for inputs that a decoder of untrusted bytes does not survive
    Fuzz(fuzz::Arguments),
    /// Build the enclave's image and print what a hypervisor measures of it
    Image(image::Arguments),
    /// Boot the development image in an emulated Nitro enclave and let it sign a transaction
    Nitro(nitro::Arguments),
    /// Check that the crates keep the dependency law
    CheckDeps,
    /// Write the contract that other languages and tools read, from the types
    Gen(generate::Arguments),
    /// Answer as market-data venues do, in their wire formats
    Venues(venues::Arguments),
    /// Own the processes of `up` (which starts this itself)
    #[command(hide = true)]
    Supervise(up::Scope),
}

fn main() -> ExitCode {
    match run(&Arguments::parse().command) {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            eprintln!("error: {error:#}");
            if interrupt::was_requested() { Outcome::Interrupted.into() } else { Outcome::Failed.into() }
        }
    }
}

fn run(command: &Command) -> anyhow::Result<Outcome> {
    // Asked for by those who need it: `venues` runs in the folder of a site, which may be in no workspace.
    let layout = Layout::locate;
    interrupt::listen().context("cannot listen for Ctrl-C")?;
    Ok(match command {
        Command::Up(arguments) => up::run(&layout()?, arguments)?,
        Command::Demo => demo::run(&layout()?)?,
        Command::Fund(arguments) => demo::fund::run(&layout()?, arguments)?,
        Command::Tenant(arguments) => tenant::run(&layout()?, arguments)?,
        Command::Down => down::run(&layout()?)?,
        Command::Reset(arguments) => reset::run(&layout()?, arguments)?,
        Command::Status => status::run(&layout()?)?,
        Command::Doctor => doctor::run(&layout()?),
        Command::Logs(arguments) => logs::run(&layout()?, arguments)?,
        Command::Test(arguments) => test::run(&layout()?, arguments)?,
        Command::Bench(arguments) => bench::run(&layout()?, arguments)?,
        Command::Sim(arguments) => sim::run(&layout()?, arguments)?,
        Command::Hostile(arguments) => hostile::run(&layout()?, arguments)?,
        Command::Fuzz(arguments) => fuzz::run(&layout()?, arguments)?,
        Command::Image(arguments) => image::run(&layout()?, arguments)?,
        Command::Nitro(arguments) => nitro::run(&layout()?, arguments)?,
        Command::CheckDeps => check_deps::run(&layout()?)?,
        Command::Gen(arguments) => generate::run(&layout()?, arguments)?,
        Command::Venues(arguments) => venues::run(arguments)?,
        Command::Supervise(scope) => supervisor::run_detached(&layout()?, scope)?,
    })
}
