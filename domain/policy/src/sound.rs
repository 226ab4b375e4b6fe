//! Whether a policy can be met and changed at all.

use nsl_schemas::policy::{
    AMOUNT_WINDOWS_MAX, APPROVAL_SECONDS_MAX, ASSETS_MAX, CONTRACTS_MAX, METHODS_MAX,
    POLICY_DELAY_SECONDS_MAX, Policy, RECIPIENTS_MAX, TRANSFER_DELAY_SECONDS_MAX, WINDOW_SECONDS_MAX,
    WINDOW_SECONDS_MIN,
};

use crate::{approval, delay, rules, window_counters};

/// Why a policy may not begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsound {
    /// Nobody could ever change it, or a key counts twice.
    #[error("owners: threshold must be 1 to the number of distinct keys, at most 16 keys")]
    Owners,
    /// No asset, too many, or one twice.
    #[error("assets: 1 to {ASSETS_MAX} different assets")]
    Assets,
    /// Not a script hash in canonical form.
    #[error("asset {0:?} is not 0x and 40 lower-case hex digits")]
    Asset(String),
    /// A bound that forbids everything.
    #[error("asset {0:?} has the bound 0")]
    Bound(String),
    /// Too many.
    #[error("recipients: at most {RECIPIENTS_MAX}")]
    Recipients,
    /// Not an address in canonical form.
    #[error("recipient {0:?} is not a Neo N3 address")]
    Recipient(String),
    /// Too many contracts, or one twice.
    #[error("contracts: at most {CONTRACTS_MAX} different contracts")]
    Contracts,
    /// Not a script hash in canonical form.
    #[error("contract {0:?} is not 0x and 40 lower-case hex digits")]
    Contract(String),
    /// No method, too many, or one twice.
    #[error("contract {0:?}: 1 to {METHODS_MAX} different methods")]
    Methods(String),
    /// No scope, or one twice.
    #[error("scopes: at least one, and each once")]
    Scopes,
    /// A bound that forbids everything or nothing.
    #[error("last_block: ahead_max and block_ms must be above 0")]
    LastBlock,
    /// Nobody could ever approve, or a key counts twice.
    #[error("approvers: threshold must be 1 to the number of distinct keys, at most 16 keys")]
    Approvers,
    /// No time, or more than a transaction lives.
    #[error("approvals: within_seconds must be 1 to {APPROVAL_SECONDS_MAX}")]
    ApprovalTime,
    /// Nothing is locked, or for no time or too long.
    #[error(
        "time_locks: a delay must be 1 to {TRANSFER_DELAY_SECONDS_MAX} seconds for transfers, 1 to \
         {POLICY_DELAY_SECONDS_MAX} for changes of policy"
    )]
    Delay,
    /// Nothing is counted, or too much.
    #[error(
        "counting: at least one rule, at most {AMOUNT_WINDOWS_MAX} different windows, none with the bound 0"
    )]
    Counting,
    /// Too short or too long.
    #[error("counting: a window has {WINDOW_SECONDS_MIN} to {WINDOW_SECONDS_MAX} seconds")]
    Window,
}

/// Checks a policy before it may begin.
pub fn check_sound(policy: &Policy) -> Result<(), Unsound> {
    if !policy.owners.is_sound() {
        return Err(Unsound::Owners);
    }
    rules::asset::check_sound(policy)?;
    rules::recipient::check_sound(policy)?;
    rules::contract::check_sound(policy)?;
    rules::scope::check_sound(policy)?;
    rules::last_block::check_sound(policy)?;
    approval::check_sound(policy)?;
    delay::check_sound(policy)?;
    window_counters::check_sound(policy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_policy::{GAS, NEO, policy, quorum, up_to};
    use nsl_schemas::number::Amount;
    use nsl_schemas::policy::{
        AmountWindow, ApprovalRule, ContractRule, CountingRules, LastBlockRule, SignatureWindow, TimeLocks,
        TransferLock, WitnessScope,
    };

    type Change = fn(&mut Policy);

    fn assert_named(sound: fn() -> Policy, cases: &[(Change, Unsound)]) {
        assert_eq!(check_sound(&sound()), Ok(()));
        for (index, (change, expected)) in cases.iter().enumerate() {
            let mut policy = sound();
            change(&mut policy);
            assert_eq!(check_sound(&policy), Err(expected.clone()), "case {index}");
        }
    }

    #[test]
    fn names_what_is_wrong_with_the_bounds() {
        assert_named(
            policy,
            &[
                (|p| p.owners.threshold = 2, Unsound::Owners),
                (|p| p.assets.clear(), Unsound::Assets),
                (|p| p.assets.push(p.assets[0].clone()), Unsound::Assets),
                (|p| p.assets[0].asset = GAS.to_uppercase(), Unsound::Asset(GAS.to_uppercase())),
                (|p| p.assets[0].amount_max = Amount(0), Unsound::Bound(GAS.into())),
                (|p| p.recipients = Some(vec![String::new(); 257]), Unsound::Recipients),
                (|p| p.recipients = Some(vec!["NX".into()]), Unsound::Recipient("NX".into())),
            ],
        );
    }

    fn with_every_rule() -> Policy {
        let mut policy = policy();
        let window = |asset: &str| AmountWindow {
            amount_max: Amount(1),
            asset: asset.into(),
            window_seconds: WINDOW_SECONDS_MIN,
        };
        policy.rules.contracts =
            Some(vec![ContractRule { contract: GAS.into(), methods: vec!["transfer".into()] }]);
        policy.rules.scopes = Some(vec![WitnessScope::CalledByEntry]);
        policy.rules.last_block =
            Some(LastBlockRule { ahead_max: 1, block_ms: 1, known_block: 0, known_block_ms: 0 });
        policy.rules.approvals = Some(ApprovalRule {
            approvers: quorum(2, &[1, 2]),
            free: up_to(1),
            within_seconds: APPROVAL_SECONDS_MAX,
        });
        policy.rules.time_locks = Some(TimeLocks {
            policy_change_seconds: Some(POLICY_DELAY_SECONDS_MAX),
            transfer: Some(TransferLock { delay_seconds: TRANSFER_DELAY_SECONDS_MAX, free: up_to(1) }),
        });
        policy.rules.counting = Some(CountingRules {
            amounts: vec![window(GAS), window(NEO)],
            signatures: Some(SignatureWindow { count_max: 1, window_seconds: WINDOW_SECONDS_MAX }),
            signatures_in_all_max: Some(1),
        });
        policy
    }

    macro_rules! rule {
        ($name:ident, |$rule:ident| $change:expr) => {
            |policy: &mut Policy| {
                let $rule = policy.rules.$name.as_mut().unwrap();
                $change;
            }
        };
    }

    #[test]
    fn names_what_is_wrong_with_a_rule_of_one_transaction() {
        assert_named(
            with_every_rule,
            &[
                (rule!(contracts, |r| r.push(r[0].clone())), Unsound::Contracts),
                (rule!(contracts, |r| r[0].contract = "0x".into()), Unsound::Contract("0x".into())),
                (rule!(contracts, |r| r[0].methods.clear()), Unsound::Methods(GAS.into())),
                (rule!(contracts, |r| r[0].methods.push("transfer".into())), Unsound::Methods(GAS.into())),
                (rule!(contracts, |r| r[0].methods[0].clear()), Unsound::Methods(GAS.into())),
                (rule!(contracts, |r| r[0].methods[0] = "m".repeat(65)), Unsound::Methods(GAS.into())),
                (rule!(scopes, |r| r.clear()), Unsound::Scopes),
                (rule!(scopes, |r| r.push(r[0])), Unsound::Scopes),
                (rule!(last_block, |r| r.block_ms = 0), Unsound::LastBlock),
                (rule!(last_block, |r| r.ahead_max = 0), Unsound::LastBlock),
            ],
        );
    }

    #[test]
    fn names_what_is_wrong_with_approvals_and_delays() {
        assert_named(
            with_every_rule,
            &[
                (rule!(approvals, |r| r.approvers.threshold = 3), Unsound::Approvers),
                (rule!(approvals, |r| r.approvers.threshold = 0), Unsound::Approvers),
                (rule!(approvals, |r| r.approvers.keys[1] = r.approvers.keys[0]), Unsound::Approvers),
                (rule!(approvals, |r| r.within_seconds = 0), Unsound::ApprovalTime),
                (rule!(approvals, |r| r.within_seconds += 1), Unsound::ApprovalTime),
                (rule!(approvals, |r| r.free[0].amount_max = Amount(0)), Unsound::Bound(GAS.into())),
                (rule!(time_locks, |r| *r = TimeLocks::default()), Unsound::Delay),
                (rule!(time_locks, |r| r.policy_change_seconds = Some(0)), Unsound::Delay),
                (rule!(time_locks, |r| *r.policy_change_seconds.as_mut().unwrap() += 1), Unsound::Delay),
                (rule!(time_locks, |r| r.transfer.as_mut().unwrap().delay_seconds = 0), Unsound::Delay),
                (rule!(time_locks, |r| r.transfer.as_mut().unwrap().delay_seconds += 1), Unsound::Delay),
                (
                    rule!(time_locks, |r| r.transfer.as_mut().unwrap().free.push(up_to(1).remove(0))),
                    Unsound::Assets,
                ),
            ],
        );
    }

    #[test]
    fn names_what_is_wrong_with_a_rule_that_counts() {
        assert_named(
            with_every_rule,
            &[
                (rule!(counting, |r| *r = CountingRules::default()), Unsound::Counting),
                (rule!(counting, |r| r.amounts = vec![r.amounts[0].clone(); 2]), Unsound::Counting),
                (rule!(counting, |r| r.amounts = vec![r.amounts[0].clone(); 9]), Unsound::Counting),
                (rule!(counting, |r| r.amounts[0].amount_max = Amount(0)), Unsound::Counting),
                (rule!(counting, |r| r.amounts[0].asset = "0x".into()), Unsound::Asset("0x".into())),
                (rule!(counting, |r| r.amounts[0].window_seconds -= 1), Unsound::Window),
                (rule!(counting, |r| r.signatures.as_mut().unwrap().count_max = 0), Unsound::Counting),
                (rule!(counting, |r| r.signatures.as_mut().unwrap().window_seconds += 1), Unsound::Window),
                (rule!(counting, |r| r.signatures_in_all_max = Some(0)), Unsound::Counting),
            ],
        );
    }
}
