//! `nsl-hostile`: tries every attack and prints what came of it.
#![allow(clippy::print_stdout, reason = "a command-line program talks on it")]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use nsl_hostile::{Matrix, Mode, Verdict, run};

#[derive(Parser)]
#[command(name = "nsl-hostile", about)]
struct Arguments {
    /// The worker's program, built with the feature `development`
    #[arg(long, value_name = "FILE")]
    worker: PathBuf,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let matrix = runtime.block_on(run(&arguments.worker, None))?;
    for row in &matrix.rows {
        if arguments.json { println!("{}", row.to_json()) } else { println!("{row}") }
    }
    print_total(&matrix, arguments.json);
    Ok(if matrix.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print_total(matrix: &Matrix, json: bool) {
    let unexpected = matrix.unexpected().count();
    for (mode, modes) in [
        ("outside withheld mode", &[Mode::Stateless, Mode::Any][..]),
        ("in withheld mode", &[Mode::Withheld, Mode::Any]),
    ] {
        let count = |verdict| matrix.count(verdict, modes);
        let (refused, detected) = (count(Verdict::Refused), count(Verdict::Detected));
        let (same, accepted) = (count(Verdict::SameTransaction), count(Verdict::Accepted));
        if json {
            let total = serde_json::json!({
                "total": mode, "refused": refused, "detected": detected, "same_transaction": same,
                "accepted": accepted, "unexpected": unexpected,
            });
            println!("{total}");
        } else {
            println!(
                "{mode}: {refused} refused, {detected} detected, {same} the very same transaction, accepted {accepted}"
            );
        }
    }
    if !json {
        let controls = matrix.rows.iter().filter(|row| row.attack.is_control).count();
        println!("{controls} controls; {unexpected} rows are not as expected");
    }
}
