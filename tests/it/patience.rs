//! Waiting for conditions.

use std::time::{Duration, Instant};

/// Far beyond what any awaited condition takes: reaching it is a failure, not a slow machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);
/// Between two looks.
const POLL: Duration = Duration::from_millis(50);

/// A wait that does not last for ever.
pub(crate) struct Wait<'a> {
    what: &'a str,
    deadline: Instant,
}

impl<'a> Wait<'a> {
    /// A wait that begins now.
    pub(crate) fn begin(what: &'a str) -> Self {
        Self { what, deadline: Instant::now() + PATIENCE }
    }

    /// Passes the time until the next look; panics when there were enough.
    pub(crate) async fn pause(&self) {
        assert!(Instant::now() < self.deadline, "not within {PATIENCE:?}: {}", self.what);
        tokio::time::sleep(POLL).await;
    }
}

/// Looks until `look` finds something, and returns that.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let wait = Wait::begin(what);
    loop {
        if let Some(found) = look().await {
            return found;
        }
        wait.pause().await;
    }
}
