//! Keeps the process's memory to itself: no core dumps, no ptrace by equals, no swap.

use nix::errno::Errno;
use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::prctl::set_dumpable;
use nix::sys::resource::{Resource, setrlimit};

/// Why the process cannot be closed up.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation}")]
pub struct Error {
    operation: &'static str,
    #[source]
    source: Errno,
}

/// Closes the process up; call before it holds any secret. Locking memory is best effort: an enclave has no swap, and a
/// development machine may not allow it.
pub fn harden() -> Result<(), Error> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0)
        .map_err(|source| Error { operation: "forbid core dumps", source })?;
    set_dumpable(false).map_err(|source| Error { operation: "make the process undumpable", source })?;
    if let Err(error) = mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE) {
        tracing::warn!(%error, "memory is not locked: secrets may be swapped out");
    }
    Ok(())
}
