//! A sum over a sliding window, in a bounded number of buckets.
//!
//! A bucket counts until its last instant has left the window. So what was added at one time counts for the window's
//! length and at most a bucket's width more ([`BUCKETS`] of them make a window): never shorter, in which lies that no
//! window of that length, both ends included, wherever it begins, holds more than the bound.

use std::collections::BTreeMap;

use nsl_schemas::number::UnixMs;
use nsl_schemas::policy::Window;

/// Buckets of one window: a day's are hours. More of them would wait less long for room, and weigh more in every
/// reservation.
pub const BUCKETS: u64 = 24;

/// Would be above the bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exceeded;

/// Nothing was added yet.
pub(crate) fn empty(window_seconds: u32) -> Window {
    Window { buckets: BTreeMap::new(), window_seconds }
}

/// `window` as it is after `amount` at `now_ms`, unless it then held more than `max`.
pub(crate) fn add(window: &Window, amount: u128, max: u128, now_ms: u64) -> Result<Window, Exceeded> {
    let mut next = at(window, now_ms);
    let held = next.buckets.values().try_fold(0_u128, |sum, one| sum.checked_add(one.0));
    let sum = held.and_then(|held| held.checked_add(amount)).ok_or(Exceeded)?;
    if sum > max {
        return Err(Exceeded);
    }
    let from_ms = now_ms - now_ms % bucket_ms(&next);
    // No bucket holds more than the sum of all.
    let bucket = next.buckets.entry(UnixMs(from_ms)).or_default();
    bucket.0 = bucket.0.saturating_add(amount);
    Ok(next)
}

/// The same in a window of another length. A bucket's content goes where its last instant lies, which is not after
/// `last_ms`: it counts as long as it must, or longer. What had left the window is not known any more.
pub(crate) fn resized(window: &Window, window_seconds: u32, last_ms: u64) -> Window {
    if window_seconds == window.window_seconds {
        return window.clone();
    }
    let mut next = empty(window_seconds);
    let width_ms = bucket_ms(&next);
    for (from_ms, sum) in &window.buckets {
        let end_ms = from_ms.0.saturating_add(bucket_ms(window) - 1).min(last_ms).max(from_ms.0);
        let bucket = next.buckets.entry(UnixMs(end_ms - end_ms % width_ms)).or_default();
        bucket.0 = bucket.0.saturating_add(sum.0);
    }
    next
}

/// Without the buckets that have left the window.
fn at(window: &Window, now_ms: u64) -> Window {
    let mut next = window.clone();
    let width_ms = bucket_ms(window);
    if let Some(first_ms) = now_ms.checked_sub(length_ms(window)) {
        next.buckets.retain(|from_ms, _| from_ms.0.saturating_add(width_ms) > first_ms);
    }
    next
}

fn length_ms(window: &Window) -> u64 {
    u64::from(window.window_seconds) * 1_000
}

/// At least 1, so that nothing is divided by nothing even in a window that no sound policy has.
fn bucket_ms(window: &Window) -> u64 {
    length_ms(window).div_ceil(BUCKETS).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sum(window: &Window) -> u128 {
        window.buckets.values().map(|one| one.0).sum()
    }

    #[test]
    fn a_spend_counts_for_the_window_and_at_most_a_bucket_more() {
        // A day's window: buckets of an hour.
        let (hour, day) = (3_600_000_u64, 86_400_000_u64);
        let begin = 1_000 * day;
        for within_bucket in [0, 1, hour / 2, hour - 1] {
            let spent_ms = begin + within_bucket;
            let window = add(&empty(86_400), 10, 10, spent_ms).unwrap();
            assert_eq!(add(&window, 1, 10, spent_ms + day), Err(Exceeded), "{within_bucket}");
            assert_eq!(add(&window, 1, 10, begin + hour - 1 + day), Err(Exceeded), "{within_bucket}");
            assert!(add(&window, 10, 10, begin + hour + day).is_ok(), "{within_bucket}");
            assert!(add(&window, 10, 10, spent_ms + day + hour).is_ok(), "{within_bucket}");
        }
    }

    #[test]
    fn nothing_overflows() {
        let full = add(&empty(60), u128::MAX, u128::MAX, u64::MAX).unwrap();
        assert_eq!(add(&full, 1, u128::MAX, u64::MAX), Err(Exceeded));
        assert_eq!(add(&full, 0, u128::MAX, 0).map(|window| sum(&window)), Ok(u128::MAX));
        assert_eq!(sum(&resized(&full, 61, u64::MAX)), u128::MAX);
        assert!(add(&empty(0), 1, 1, 5).is_ok());
    }

    proptest! {
        #[test]
        fn a_window_has_a_bounded_number_of_buckets(
            seconds in 1_u32..100_000, steps in prop::collection::vec(0_u64..5_000_000, 1..200), begin: u32,
        ) {
            let mut window = empty(seconds);
            let mut now_ms = u64::from(begin);
            for step in steps {
                now_ms += step;
                window = add(&window, 1, u128::MAX, now_ms).unwrap();
                prop_assert!(window.buckets.len() as u64 <= BUCKETS + 1);
            }
        }

        /// Whatever moves into a window of another length: nothing is lost, and nothing moves back in time by more than
        /// its new bucket.
        #[test]
        fn another_length_forgets_nothing(
            from in 1_u32..10_000, to in 1_u32..10_000, spent in prop::collection::vec(0_u64..60_000, 1..20),
        ) {
            let mut window = empty(from);
            let mut now_ms = 1_000_000_000;
            for step in &spent {
                now_ms += step % u64::from(from);
                window = add(&window, 1, u128::MAX, now_ms).unwrap();
            }
            let resized = resized(&window, to, now_ms);
            prop_assert_eq!(sum(&resized), sum(&window));
            let newest = |window: &Window| window.buckets.last_key_value().unwrap().0.0;
            prop_assert!(newest(&resized) <= now_ms);
            prop_assert!(newest(&resized) + bucket_ms(&resized) > newest(&window));
        }
    }
}
