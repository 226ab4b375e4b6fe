//! The `nsl` command: parses its arguments, runs one command, and tells its outcome to people or scripts.
//!
//! Data goes to stdout, everything else to stderr. It talks only over the bus.

mod arguments;
mod assets;
mod commands;
mod contexts;
mod error;
mod exit_code;
mod files;
mod outcome;
mod pages;
mod pending;
mod session;
mod shell;

use clap::Parser as _;

pub use exit_code::ExitCode;

use crate::arguments::Arguments;
use crate::error::Error;
use crate::session::Invocation;
use crate::shell::Shell;

/// Runs the command that the process's arguments name.
pub async fn run() -> ExitCode {
    let Arguments { globals, command } = Arguments::parse();
    let shell = Shell::new(&globals);
    let invocation = Invocation::new(globals, shell);
    let ended = tokio::select! {
        ended = commands::run(command, &invocation) => ended,
        _ = tokio::signal::ctrl_c() => Err(Error::Interrupted),
    };
    let told = ended.and_then(|outcome| Ok(invocation.shell.outcome(&outcome)?));
    match told {
        Ok(()) => ExitCode::Ok,
        // Whoever closed the pipe has read enough.
        Err(Error::Output(source)) if source.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::Ok,
        Err(error) => {
            invocation.shell.error(&error);
            error.exit_code()
        }
    }
}
