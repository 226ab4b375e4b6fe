//! From when a locked transfer or change of policy may take effect.
//!
//! The delay runs from the time at which the issuer signed the command, so a worker can tell it by its own clock. The
//! command side lets it run from its own clock if that is later: an issuer who dates back gains nothing alone.

use nsl_schemas::policy::{POLICY_DELAY_SECONDS_MAX, Policy, TRANSFER_DELAY_SECONDS_MAX};

use crate::rules::asset::{check_list, is_free};
use crate::{TransferFacts, Unsound};

/// When the transfer may be signed, Unix ms, if it was asked for at `asked_at_ms`; `None` where nothing delays it.
pub fn sign_from_ms(policy: &Policy, transfer: &TransferFacts<'_>, asked_at_ms: u64) -> Option<u64> {
    let lock = policy.rules.time_locks.as_ref()?.transfer.as_ref()?;
    (!is_free(&lock.free, transfer)).then(|| after(asked_at_ms, lock.delay_seconds))
}

/// When `policy` may be replaced, Unix ms, if that was asked for at `asked_at_ms`; `None` where nothing delays it.
pub fn policy_change_from_ms(policy: &Policy, asked_at_ms: u64) -> Option<u64> {
    let delay_seconds = policy.rules.time_locks.as_ref()?.policy_change_seconds?;
    Some(after(asked_at_ms, delay_seconds))
}

fn after(asked_at_ms: u64, delay_seconds: u32) -> u64 {
    asked_at_ms.saturating_add(u64::from(delay_seconds) * 1_000)
}

pub(crate) fn check_sound(policy: &Policy) -> Result<(), Unsound> {
    let Some(locks) = &policy.rules.time_locks else { return Ok(()) };
    let is_delay =
        |seconds: Option<u32>, max: u32| seconds.is_none_or(|seconds| (1..=max).contains(&seconds));
    let transfer_seconds = locks.transfer.as_ref().map(|lock| lock.delay_seconds);
    let locks_something = locks.policy_change_seconds.is_some() || transfer_seconds.is_some();
    if !locks_something
        || !is_delay(locks.policy_change_seconds, POLICY_DELAY_SECONDS_MAX)
        || !is_delay(transfer_seconds, TRANSFER_DELAY_SECONDS_MAX)
    {
        return Err(Unsound::Delay);
    }
    locks.transfer.as_ref().map_or(Ok(()), |lock| check_list(&lock.free))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_policy::{GAS, NEO, facts, policy, up_to, with_rules};
    use nsl_schemas::policy::{TimeLocks, TransferLock};
    use proptest::prelude::*;

    #[test]
    fn without_a_lock_nothing_waits() {
        assert_eq!(sign_from_ms(&policy(), &facts(), 7), None);
        assert_eq!(policy_change_from_ms(&policy(), 7), None);
        let other_lock = with_rules(|rules| {
            rules.time_locks = Some(TimeLocks { policy_change_seconds: Some(2), transfer: None });
        });
        assert_eq!(sign_from_ms(&other_lock, &facts(), 7), None);
        assert_eq!(policy_change_from_ms(&other_lock, 7), Some(2_007));
        assert_eq!(policy_change_from_ms(&other_lock, u64::MAX), Some(u64::MAX));
    }

    proptest! {
        #[test]
        fn exactly_what_is_not_free_waits(
            amount: u128, free: u128, is_listed: bool, delay_seconds in 1_u32..=TRANSFER_DELAY_SECONDS_MAX,
            asked_at_ms in 0_u64..1 << 53,
        ) {
            let lock = TransferLock { delay_seconds, free: up_to(free) };
            let policy = with_rules(|rules| {
                rules.time_locks = Some(TimeLocks { policy_change_seconds: None, transfer: Some(lock) });
            });
            let asset = if is_listed { GAS } else { NEO };
            let from_ms = sign_from_ms(&policy, &TransferFacts { asset, amount, ..facts() }, asked_at_ms);
            let expected = (!is_listed || amount > free).then(|| asked_at_ms + u64::from(delay_seconds) * 1_000);
            prop_assert_eq!(from_ms, expected);
            prop_assert_eq!(policy_change_from_ms(&policy, asked_at_ms), None);
        }
    }
}
