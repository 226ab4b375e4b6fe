//! A partition's stay with this processor, by this process' own monotonic clock: from a lease's start until it is known
//! to be lost or could have run out.
//!
//! The log's fence alone keeps stale *writes* out. What is said without a write — a refusal, an acknowledgement — asks
//! the tenure first, so that a process that was stopped past its leases says nothing about commands that others decide
//! meanwhile.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use nsl_event_store::Fence;

/// A partition's stay with this processor. Everything that is under way for the partition shares it, so whoever holds the
/// only copy knows that nothing is.
#[derive(Debug)]
pub(crate) struct Tenure {
    fence: Fence,
    /// From here on another processor may hold the partition. Never later than the lease's end in the database.
    ends: Mutex<Option<Instant>>,
}

impl Tenure {
    /// Begins a stay that lasts until `ends` unless it is prolonged.
    pub(crate) fn begin(fence: Fence, ends: Instant) -> Self {
        Self { fence, ends: Mutex::new(Some(ends)) }
    }

    /// The lease.
    pub(crate) fn fence(&self) -> Fence {
        self.fence
    }

    /// Whether the partition is certainly still ours. Once false, it stays false.
    pub(crate) fn is_held(&self) -> bool {
        self.is_held_at(Instant::now())
    }

    /// Prolongs the stay; false when it had ended before: something may have been dropped since, so the partition must be
    /// taken anew.
    pub(crate) fn prolong(&self, ends: Instant) -> bool {
        self.prolong_at(Instant::now(), ends)
    }

    /// Ends the stay.
    pub(crate) fn end(&self) {
        *self.ends.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn is_held_at(&self, now: Instant) -> bool {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|ends| now < ends)
    }

    fn prolong_at(&self, now: Instant, until: Instant) -> bool {
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        *ends = ends.filter(|ends| now < *ends).map(|_| until);
        ends.is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const FENCE: Fence = Fence { partition: 3, epoch: 7 };

    #[test]
    fn a_stay_lasts_until_its_end_and_is_prolonged_before_it() {
        let now = Instant::now();
        let tenure = Tenure::begin(FENCE, now + SECOND);
        assert!(tenure.is_held_at(now));
        assert!(!tenure.is_held_at(now + SECOND));
        assert!(tenure.prolong_at(now, now + 3 * SECOND));
        assert!(tenure.is_held_at(now + 2 * SECOND));
    }

    #[test]
    fn a_stay_that_ended_is_over_for_ever() {
        let now = Instant::now();
        let late = Tenure::begin(FENCE, now + SECOND);
        assert!(!late.prolong_at(now + SECOND, now + 9 * SECOND));
        assert!(!late.is_held_at(now));

        let lost = Tenure::begin(FENCE, now + SECOND);
        lost.end();
        assert!(!lost.is_held_at(now) && !lost.prolong_at(now, now + SECOND));
    }
}
