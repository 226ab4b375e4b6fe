//! The wall clock, read only at the edge.

use std::time::{SystemTime, UNIX_EPOCH};

/// Now, Unix ms. A clock before 1970 reads as 1970: every observation is then from the future and none
/// counts.
pub(crate) fn now_ms() -> u64 {
    unix_ms(SystemTime::now())
}

/// A time as Unix ms.
pub(crate) fn unix_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
