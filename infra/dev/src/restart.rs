//! When a process that ended is started again: at once after a long life, ever later while it keeps failing.

use std::time::{Duration, Instant};

/// First pause; doubled each time the process ends soon after its start.
const PAUSE_MIN: Duration = Duration::from_millis(250);
/// A process that cannot start must not keep the machine busy.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// A life of so many pauses was worth them: the next pause is the first one again.
const WORTHWHILE: u32 = 10;

/// The restarts of one process.
#[derive(Debug, Default)]
pub(crate) struct Restart {
    pause: Option<Duration>,
    started: Option<Instant>,
    due: Option<Instant>,
}

impl Restart {
    /// The process has ended at `now`.
    pub(crate) fn ended(&mut self, now: Instant) {
        let lived = self.started.map(|started| now.duration_since(started));
        let pause = match (self.pause, lived) {
            (Some(pause), Some(lived)) if lived < pause * WORTHWHILE => (pause * 2).min(PAUSE_MAX),
            _ => PAUSE_MIN,
        };
        self.pause = Some(pause);
        self.due = Some(now + pause);
    }

    /// True once when the time for the next start has come.
    pub(crate) fn take_due(&mut self, now: Instant) -> bool {
        let is_due = self.due.is_some_and(|due| now >= due);
        if is_due {
            self.due = None;
            self.started = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pause_grows_while_it_fails_and_shrinks_after_a_long_life() {
        let mut now = Instant::now();
        let mut restart = Restart::default();
        let mut pauses = Vec::new();
        for lifetime in [0, 0, 0, 0, 0, 0, 0, 0, 0, 60, 300, 0, 5, 4].map(Duration::from_secs) {
            now += lifetime;
            restart.ended(now);
            let ended = now;
            while !restart.take_due(now) {
                now += PAUSE_MIN;
            }
            assert!(!restart.take_due(now), "due only once");
            pauses.push(now.duration_since(ended).as_millis());
        }
        assert_eq!(
            pauses,
            [250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000, 250, 500, 250, 250]
        );
    }
}
