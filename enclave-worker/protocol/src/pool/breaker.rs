//! The circuit breaker of one member: pure, time is an argument.

use std::time::Duration;

use tokio::time::Instant;

/// Closed while calls succeed; open for an interval after too many failures in a row; then one trial call an
/// interval until one succeeds. A trial that never reports only costs its interval.
#[derive(Debug)]
pub(super) struct Breaker {
    failures_to_open: u32,
    open_interval: Duration,
    failures: u32,
    open_until: Option<Instant>,
}

impl Breaker {
    pub(super) fn new(failures_to_open: u32, open_interval: Duration) -> Self {
        Self { failures_to_open, open_interval, failures: 0, open_until: None }
    }

    /// Whether a call would be let through.
    pub(super) fn admits(&self, now: Instant) -> bool {
        self.open_until.is_none_or(|until| now >= until)
    }

    /// Lets a call through, or not; while open this is the interval's one trial.
    pub(super) fn begin(&mut self, now: Instant) -> bool {
        if !self.admits(now) {
            return false;
        }
        if self.open_until.is_some() {
            self.open_until = Some(now + self.open_interval);
        }
        true
    }

    /// A call succeeded; true if that closed an open breaker.
    pub(super) fn succeed(&mut self) -> bool {
        self.failures = 0;
        self.open_until.take().is_some()
    }

    /// A call failed.
    pub(super) fn fail(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= self.failures_to_open {
            self.open_until = Some(now + self.open_interval);
        }
    }

    /// When the next trial may be made; `None` while closed.
    pub(super) fn reopens_at(&self) -> Option<Instant> {
        self.open_until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(5);

    #[test]
    fn a_row_of_failures_opens_and_a_success_breaks_the_row() {
        let now = Instant::now();
        let mut breaker = Breaker::new(3, INTERVAL);
        breaker.fail(now);
        breaker.fail(now);
        assert!(!breaker.succeed());
        breaker.fail(now);
        breaker.fail(now);
        assert!(breaker.begin(now));
        breaker.fail(now);
        assert!(!breaker.begin(now));
        assert_eq!(breaker.reopens_at(), Some(now + INTERVAL));
    }

    #[test]
    fn an_open_breaker_lets_one_trial_through_each_interval() {
        let now = Instant::now();
        let mut breaker = Breaker::new(1, INTERVAL);
        breaker.fail(now);
        let later = now + INTERVAL;
        assert!(breaker.admits(later) && breaker.begin(later));
        assert!(!breaker.begin(later));
        assert!(breaker.begin(later + INTERVAL));
        assert!(breaker.succeed());
        assert!(breaker.begin(later) && breaker.begin(later));
    }
}
