//! `cargo dev down`: stop everything; all data stays.

use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use nsl_local_services::{Identity, PrivateFileError};

use crate::layout::Layout;
use crate::outcome::Outcome;
use crate::progress::Progress;
use crate::runner_record::RunnerRecord;

/// Longer than the bounds of all graceful stops in turn; then the runner is killed and the kernel ends the rest.
const STOP_TIMEOUT: Duration = Duration::from_mins(3);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot stop process {id}")]
    Signal {
        id: u32,
        #[source]
        source: nix::Error,
    },
    #[error(transparent)]
    File(#[from] PrivateFileError),
}

pub(crate) fn run(layout: &Layout) -> Result<Outcome, Error> {
    let Some(record) = RunnerRecord::read_alive(&layout.runner_record())? else {
        println!("Nothing is running.");
        return Ok(Outcome::Done);
    };
    let progress = Progress::start();
    progress.phase("stopping");
    signal(&record.identity, Signal::SIGTERM)?;
    let deadline = Instant::now() + STOP_TIMEOUT;
    while record.identity.is_alive() {
        if Instant::now() >= deadline {
            signal(&record.identity, Signal::SIGKILL)?;
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    progress.finish();
    println!("Stopped. `cargo dev up` finds all data where it was.");
    Ok(Outcome::Done)
}

fn signal(runner: &Identity, signal: Signal) -> Result<(), Error> {
    let id = i32::try_from(runner.id).map_err(|_| Error::Signal { id: runner.id, source: Errno::ERANGE })?;
    match kill(Pid::from_raw(id), signal) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(source) => Err(Error::Signal { id: runner.id, source }),
    }
}
