//! Which core something runs on: the worker has one to itself, the load another.

use std::thread;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot choose a core")]
    Affinity(#[from] nix::Error),
    #[error("cannot start a thread")]
    Thread(#[from] std::io::Error),
    #[error("a thread ended unexpectedly")]
    Ended,
}

/// The cores that this process may use.
pub(super) fn available() -> Result<Vec<usize>, Error> {
    let cores = sched_getaffinity(Pid::from_raw(0))?;
    Ok((0..CpuSet::count()).filter(|core| cores.is_set(*core).unwrap_or(false)).collect())
}

/// Runs `work` on a thread that keeps to `cores`, as do the threads and processes that it starts.
pub(super) fn run_on<T: Send + 'static>(
    cores: &[usize],
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    let mut set = CpuSet::new();
    for core in cores {
        set.set(*core)?;
    }
    let run = move || {
        sched_setaffinity(Pid::from_raw(0), &set)?;
        Ok(work())
    };
    thread::Builder::new().spawn(run)?.join().map_err(|_panic| Error::Ended)?
}
