//! The `nsl` command.

#![allow(clippy::print_stderr, reason = "what cannot go through the shell goes to stderr")]

use std::process::ExitCode;

use anyhow::Context as _;

fn main() -> ExitCode {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        eprintln!("this is a bug in nsl; please report it");
        std::process::exit(i32::from(nsl_cli::ExitCode::Bug.number()));
    }));
    match run() {
        Ok(code) => code.into(),
        Err(error) => {
            eprintln!("error: {error:#}");
            nsl_cli::ExitCode::Failed.into()
        }
    }
}

fn run() -> anyhow::Result<nsl_cli::ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start the runtime")?;
    let code = runtime.block_on(nsl_cli::run());
    // A read of standard input that was interrupted must not keep the process.
    runtime.shutdown_background();
    Ok(code)
}
