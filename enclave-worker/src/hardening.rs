//! Keeps the process's memory to itself and within bounds: no core dumps, no ptrace by equals, no new privileges, no
//! swap, and an end to it before the machine's memory ends.

use nix::errno::Errno;
use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::prctl::{set_dumpable, set_no_new_privs};
use nix::sys::resource::{Resource, setrlimit};

/// Most memory for data: that of a small enclave. What requests may hold is bounded far below it by the channel
/// (`ServerLimits`); whatever passes this is a fault, and ends one worker instead of its machine.
const DATA_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// Why the process cannot be closed up.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation}")]
pub struct Error {
    operation: &'static str,
    #[source]
    source: Errno,
}

/// Closes the process up; call before it holds any secret. That all memory is locked too is demanded where the keys are
/// real ([`lock_memory`]); the limits of a development machine seldom allow it, and there the sealing key lies on a locked
/// page all the same ([`crate::locked`]).
pub fn harden() -> Result<(), Error> {
    let failed = |operation| move |source| Error { operation, source };
    setrlimit(Resource::RLIMIT_CORE, 0, 0).map_err(failed("forbid core dumps"))?;
    setrlimit(Resource::RLIMIT_DATA, DATA_BYTES_MAX, DATA_BYTES_MAX).map_err(failed("limit memory"))?;
    set_no_new_privs().map_err(failed("forbid new privileges"))?;
    set_dumpable(false).map_err(failed("make the process undumpable"))?;
    if let Err(error) = lock_memory() {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "what libraries copy of secrets may be swapped out"
        );
    }
    Ok(())
}

/// Locks all memory, that to come too: also what libraries copy of secrets is never swapped.
pub fn lock_memory() -> Result<(), Error> {
    mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE).map_err(|source| {
        let operation = "lock all memory: CAP_IPC_LOCK or an unlimited RLIMIT_MEMLOCK is missing";
        Error { operation, source }
    })
}
