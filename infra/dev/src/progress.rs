//! Progress of long work on standard error: a spinner on a terminal, else one line a phase.

use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use nsl_local_services::Hooks;

use crate::interrupt;

/// A tenth of a second is what an eye takes for motion.
const TICK_INTERVAL: Duration = Duration::from_millis(100);

/// Shows one phase at a time.
#[derive(Clone)]
pub(crate) struct Progress {
    bar: ProgressBar,
    started: Instant,
}

impl Progress {
    pub(crate) fn start() -> Self {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(TICK_INTERVAL);
        Self { bar, started: Instant::now() }
    }

    /// The next phase begins.
    pub(crate) fn phase(&self, phase: &str) {
        if self.bar.is_hidden() {
            eprintln!("[{:>5.1} s] {phase}", self.started.elapsed().as_secs_f32());
        } else {
            self.bar.set_message(phase.to_owned());
        }
    }

    /// Clears the line, so that something else can be printed.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// Hooks that show a site's phases here and end its waits on Ctrl-C.
    pub(crate) fn hooks(&self) -> Hooks {
        let progress = self.clone();
        Hooks { cancelled: interrupt::flag(), progress: Arc::new(move |phase: &str| progress.phase(phase)) }
    }
}
