//! What a venue allows us, shared by all its pairs: its published rate, and the pauses that it asks for.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::time::Instant;

/// A venue's request budget.
#[derive(Debug)]
pub(crate) struct Budget {
    limiter: DefaultDirectRateLimiter,
    closed_until: Mutex<Option<Instant>>,
}

impl Budget {
    /// One request a period on average, at most `burst` at once.
    pub(crate) fn new(period_ms: NonZeroU64, burst: NonZeroU32) -> Self {
        let quota = Quota::with_period(Duration::from_millis(period_ms.get()))
            .expect("a period is refused only when it is zero")
            .allow_burst(burst);
        Self { limiter: RateLimiter::direct(quota), closed_until: Mutex::new(None) }
    }

    /// Waits until a request is allowed, and takes it.
    pub(crate) async fn take(&self) {
        while let Some(until) = self.closed_until() {
            tokio::time::sleep_until(until).await;
        }
        self.limiter.until_ready().await;
    }

    /// No request for this long; a pause under way is not shortened.
    pub(crate) fn close_for(&self, pause: Duration) {
        // Beyond the clock's range the pause is not kept; pauses are bounded to a day, so this cannot be
        // reached.
        let until = Instant::now().checked_add(pause);
        let mut closed_until = self.closed_until.lock().unwrap_or_else(PoisonError::into_inner);
        *closed_until = (*closed_until).max(until);
    }

    fn closed_until(&self) -> Option<Instant> {
        let closed_until = *self.closed_until.lock().unwrap_or_else(PoisonError::into_inner);
        closed_until.filter(|until| *until > Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    fn budget(period_ms: u64, burst: u32) -> Budget {
        Budget::new(NonZeroU64::new(period_ms).unwrap(), NonZeroU32::new(burst).unwrap())
    }

    #[tokio::test]
    async fn a_pause_holds_every_pair_and_is_not_shortened() {
        let budget = budget(1, 10);
        assert!(budget.take().now_or_never().is_some());
        budget.close_for(Duration::from_mins(1));
        budget.close_for(Duration::from_secs(1));
        assert!(budget.take().now_or_never().is_none());
        assert!(budget.closed_until().unwrap() > Instant::now() + Duration::from_secs(30));
    }

    #[tokio::test]
    async fn beyond_the_burst_a_request_waits_for_the_period() {
        let budget = budget(3_600_000, 2);
        assert!(budget.take().now_or_never().is_some());
        assert!(budget.take().now_or_never().is_some());
        assert!(budget.take().now_or_never().is_none());
    }
}
