//! How far ahead a transaction's last block may lie.
//!
//! A worker knows the time and no height. From a known block on, at most one block can have been made every `block_ms`,
//! so time bounds the height from above. Where a chain is slower than that, the bound is looser by as much; a change of
//! policy with a newer known block draws it tight again.

use nsl_schemas::policy::Policy;

use crate::{Denied, TransferFacts, Unsound};

pub(crate) fn check(policy: &Policy, transfer: &TransferFacts<'_>) -> Result<(), Denied> {
    let Some(rule) = &policy.rules.last_block else { return Ok(()) };
    let elapsed_ms = transfer.issued_at_ms.saturating_sub(rule.known_block_ms);
    // No block time is no bound; sound policies have one.
    let made = elapsed_ms.checked_div(u64::from(rule.block_ms)).ok_or(Denied::LastBlock)?;
    let height_max = u64::from(rule.known_block).saturating_add(made);
    let last_max = height_max.saturating_add(u64::from(rule.ahead_max));
    if u64::from(transfer.valid_until_block) > last_max { Err(Denied::LastBlock) } else { Ok(()) }
}

pub(crate) fn check_sound(policy: &Policy) -> Result<(), Unsound> {
    match &policy.rules.last_block {
        Some(rule) if rule.block_ms == 0 || rule.ahead_max == 0 => Err(Unsound::LastBlock),
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_policy::{facts, with_rules};
    use nsl_schemas::policy::LastBlockRule;
    use proptest::prelude::*;

    fn judged(rule: LastBlockRule, issued_at_ms: u64, valid_until_block: u32) -> Result<(), Denied> {
        let policy = with_rules(|rules| rules.last_block = Some(rule));
        check(&policy, &TransferFacts { valid_until_block, issued_at_ms, ..facts() })
    }

    #[test]
    fn the_bound_rises_by_one_with_every_block_time() {
        let rule =
            || LastBlockRule { ahead_max: 20, block_ms: 15_000, known_block: 100, known_block_ms: 1_000 };
        for (issued_at_ms, last_max) in
            [(0, 120), (1_000, 120), (15_999, 120), (16_000, 121), (1_000 + 10 * 15_000, 130)]
        {
            assert_eq!(judged(rule(), issued_at_ms, last_max), Ok(()), "{issued_at_ms}");
            assert_eq!(judged(rule(), issued_at_ms, last_max + 1), Err(Denied::LastBlock), "{issued_at_ms}");
        }
        assert_eq!(judged(LastBlockRule { block_ms: 0, ..rule() }, 0, 0), Err(Denied::LastBlock));
    }

    proptest! {
        /// Whatever height a chain has that keeps its block time, no transaction passes that is further ahead of it by
        /// more than the blocks that the chain was late.
        #[test]
        fn no_chain_is_outrun(
            known_block in 0_u32..1_000_000, block_ms in 1_u32..60_000, ahead_max in 1_u32..6_000,
            blocks in 0_u32..1_000_000, late_ms in 0_u32..60_000, further in 0_u32..9,
        ) {
            let rule = LastBlockRule { ahead_max, block_ms, known_block, known_block_ms: 5_000 };
            let issued_at_ms = 5_000 + u64::from(blocks) * u64::from(block_ms) + u64::from(late_ms % block_ms);
            let valid_until_block = known_block + blocks + ahead_max - 1 + further;
            let verdict = judged(rule, issued_at_ms, valid_until_block);
            prop_assert_eq!(verdict.is_ok(), further <= 1);
        }
    }
}
