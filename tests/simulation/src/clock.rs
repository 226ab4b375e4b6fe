//! The simulated clock: Tokio's paused time, which moves when nothing else can.

use std::cell::Cell;

use tokio::time::Instant;

/// When every simulation begins, Unix ms.
const BEGINNING_MS: u64 = 1_700_000_000_000;

thread_local! {
    static BEGINNING: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Begins a simulation on this thread.
pub(crate) fn begin() {
    BEGINNING.set(Some(Instant::now()));
}

/// Milliseconds since the beginning.
pub(crate) fn elapsed_ms() -> u64 {
    let elapsed = BEGINNING.get().map(|beginning| beginning.elapsed()).unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}

/// The time of day: what the processor is given as its clock.
pub(crate) fn now_ms() -> u64 {
    BEGINNING_MS + elapsed_ms()
}
