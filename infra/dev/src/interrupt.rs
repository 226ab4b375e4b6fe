//! Ctrl-C and SIGTERM: the first asks for an end in good order, the second ends at once (and the kernel then
//! kills the processes that we own).

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

static REQUESTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);
/// As shells report an end by SIGINT.
const EXIT_CODE: i32 = 130;
/// Fast enough for a person who waits for the end.
const POLL: Duration = Duration::from_millis(100);

/// From now on signals set the flag instead of ending the process.
pub(crate) fn listen() -> io::Result<()> {
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        // In this order: the second signal finds the flag set by the first.
        signal_hook::flag::register_conditional_shutdown(signal, EXIT_CODE, flag())?;
        signal_hook::flag::register(signal, flag())?;
    }
    Ok(())
}

/// The flag that the first signal sets.
pub(crate) fn flag() -> Arc<AtomicBool> {
    Arc::clone(&REQUESTED)
}

/// Whether an end was asked for.
pub(crate) fn was_requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}

/// Waits for the first signal.
pub(crate) fn wait() {
    while !was_requested() {
        std::thread::sleep(POLL);
    }
}
