//! How long to leave something alone after it failed again and again. Pure: randomness is an argument.

use std::time::Duration;

/// Doubles from `first` to `limit` with each failure in a row.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    first: Duration,
    limit: Duration,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(first: Duration, limit: Duration) -> Self {
        Self { first, limit, failures: 0 }
    }

    /// One more failure: how long to wait now.
    pub(crate) fn failed(&mut self) -> Duration {
        let factor = 2_u32.checked_pow(self.failures).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_add(1);
        self.first.saturating_mul(factor).min(self.limit)
    }

    /// It works again.
    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
    }
}

/// `wait` and up to a tenth more, so that sources started together do not ask together for ever.
pub(crate) fn jittered(wait: Duration, random: u32) -> Duration {
    let spread_ms = u64::try_from(wait.as_millis() / 10).unwrap_or(u64::MAX);
    wait.saturating_add(Duration::from_millis(u64::from(random) % spread_ms.saturating_add(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_to_the_limit_and_begins_anew_after_a_success() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(5));
        let waits: Vec<u64> = (0..5).map(|_| backoff.failed().as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 5, 5]);
        backoff.succeeded();
        assert_eq!(backoff.failed(), Duration::from_secs(1));
        backoff.failures = u32::MAX;
        assert_eq!(backoff.failed(), Duration::from_secs(5));
    }

    #[test]
    fn jitter_adds_at_most_a_tenth() {
        for random in [0, 1, 99, 100, 101, u32::MAX] {
            let wait = jittered(Duration::from_secs(1), random);
            assert!((1_000..=1_100).contains(&wait.as_millis()), "{random}: {wait:?}");
        }
        assert_eq!(jittered(Duration::ZERO, 7), Duration::ZERO);
    }
}
