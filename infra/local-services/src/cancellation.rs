//! What a caller may hang into long operations: a flag that ends them and a listener for their phases.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Cancellation flag and progress listener of a site. The default never cancels and tells nobody.
#[derive(Clone)]
pub struct Hooks {
    /// Set to true (a signal handler may do it) to end a wait with `Cancelled`.
    pub cancelled: Arc<AtomicBool>,
    /// Told one short line at the start of each phase that may take a while.
    pub progress: Arc<dyn Fn(&str) + Send + Sync>,
}

impl Default for Hooks {
    fn default() -> Self {
        Self { cancelled: Arc::default(), progress: Arc::new(|_| {}) }
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Hooks").field("cancelled", &self.cancelled).finish_non_exhaustive()
    }
}

impl Hooks {
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    pub(crate) fn report(&self, phase: &str) {
        (self.progress)(phase);
    }
}
