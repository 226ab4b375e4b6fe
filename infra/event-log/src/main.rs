//! The binary: reads the command line and runs it.

use std::process::ExitCode;

use clap::Parser;
use nsl_event_log::command::{self, Arguments};

fn main() -> std::io::Result<ExitCode> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    Ok(runtime.block_on(command::run(arguments)))
}
