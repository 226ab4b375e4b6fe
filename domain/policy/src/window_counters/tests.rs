//! The counters against a plain list of everything that was ever reserved.

use nsl_schemas::canonical;
use nsl_schemas::number::Amount;
use nsl_schemas::policy::SignatureWindow;
use proptest::prelude::*;

use super::*;
use crate::test_policy::{GAS, NEO, NOW_MS, policy, with_rules};

const MINUTE_MS: u64 = 60_000;

fn counting(rules: CountingRules) -> Policy {
    with_rules(|all| all.counting = Some(rules))
}

fn window(asset: &str, amount_max: u128, window_seconds: u32) -> AmountWindow {
    AmountWindow { amount_max: Amount(amount_max), asset: asset.into(), window_seconds }
}

fn amounts(windows: Vec<AmountWindow>) -> Policy {
    counting(CountingRules { amounts: windows, ..CountingRules::default() })
}

fn gas(amount: u128) -> Spend<'static> {
    Spend { asset: GAS, amount }
}

/// A policy, what is asked for at which time, and the answers.
type Case<'a> = (&'a Policy, &'a [(u64, Spend<'a>)], &'a [Result<(), Denied>]);

/// Reserves one after another from nothing; what was denied changes nothing.
fn after(policy: &Policy, spends: &[(u64, Spend<'_>)]) -> (Counters, Vec<Result<(), Denied>>) {
    let mut counters = Counters::default();
    let verdicts = spends
        .iter()
        .map(|(at_ms, spend)| reserve(policy, &counters, spend, NOW_MS + at_ms).map(|next| counters = next));
    let verdicts = verdicts.collect();
    (counters, verdicts)
}

#[test]
fn each_rule_that_counts_has_its_own_denial() {
    let rate = SignatureWindow { count_max: 2, window_seconds: 60 };
    let by_rate = counting(CountingRules { signatures: Some(rate), ..CountingRules::default() });
    let one_time = counting(CountingRules { signatures_in_all_max: Some(1), ..CountingRules::default() });
    let by_amount = amounts(vec![window(GAS, 10, 60), window(GAS, 15, 3_600)]);
    let neo = Spend { asset: NEO, amount: u128::MAX };
    let (later, much_later) = (2 * MINUTE_MS, 70 * MINUTE_MS);
    let cases: [Case<'_>; 5] = [
        (&by_amount, &[(0, gas(10)), (1, gas(1)), (1, neo)], &[Ok(()), Err(Denied::AmountWindow), Ok(())]),
        // The minute has room again, the hour has not.
        (
            &by_amount,
            &[(0, gas(10)), (later, gas(5)), (2 * later, gas(1)), (much_later, gas(10))],
            &[Ok(()), Ok(()), Err(Denied::AmountWindow), Ok(())],
        ),
        (
            &by_rate,
            &[(0, gas(1)), (1, neo), (2, gas(1)), (later, gas(1))],
            &[Ok(()), Ok(()), Err(Denied::SignatureRate), Ok(())],
        ),
        (&one_time, &[(0, gas(1)), (u64::MAX / 2, gas(1))], &[Ok(()), Err(Denied::SignaturesUsedUp)]),
        (&policy(), &[(0, gas(u128::MAX)), (0, gas(u128::MAX))], &[Ok(()), Ok(())]),
    ];
    for (index, (policy, spends, expected)) in cases.into_iter().enumerate() {
        assert_eq!(after(policy, spends).1, expected, "case {index}");
    }
}

#[test]
fn another_asset_is_not_held_up_by_a_full_window() {
    let before = amounts(vec![window(GAS, 10, 60)]);
    let (counters, _) = after(&before, &[(0, gas(10))]);
    // The new bound is below what the window holds: GAS waits, NEO goes on.
    let stricter = amounts(vec![window(GAS, 5, 60)]);
    assert_eq!(reserve(&stricter, &counters, &gas(1), NOW_MS), Err(Denied::AmountWindow));
    let counters = reserve(&stricter, &counters, &Spend { asset: NEO, amount: 1 }, NOW_MS).unwrap();
    assert_eq!(reserve(&stricter, &counters, &gas(1), NOW_MS), Err(Denied::AmountWindow));
    assert!(reserve(&stricter, &counters, &gas(5), NOW_MS + 2 * MINUTE_MS).is_ok());
}

#[test]
fn a_rule_that_is_dropped_is_forgotten_and_signatures_in_all_are_not() {
    let both = counting(CountingRules {
        amounts: vec![window(GAS, 10, 60)],
        signatures: None,
        signatures_in_all_max: Some(2),
    });
    let (counters, _) = after(&both, &[(0, gas(10))]);
    let in_all = counting(CountingRules { signatures_in_all_max: Some(2), ..CountingRules::default() });
    let counters = reserve(&in_all, &counters, &gas(10), NOW_MS).unwrap();
    assert_eq!(counters.amounts, []);
    assert_eq!(reserve(&both, &counters, &gas(1), NOW_MS), Err(Denied::SignaturesUsedUp));
}

#[test]
fn counters_have_one_canonical_text() {
    let policy = counting(CountingRules {
        amounts: vec![window(GAS, 10, 86_400)],
        signatures: Some(SignatureWindow { count_max: 5, window_seconds: 60 }),
        signatures_in_all_max: None,
    });
    let (counters, _) = after(&policy, &[(0, gas(3))]);
    let text = canonical::to_string(&counters);
    assert_eq!(
        text,
        "{\"amounts\":[{\"asset\":\"0xd2a4cff31913016155e38e474a2c06d08be276cf\",\"window\":{\"buckets\":\
         {\"1749999600000\":\"3\"},\"window_seconds\":86400}}],\"last_ms\":\"1750000000000\",\"signatures\":\
         {\"buckets\":{\"1750000000000\":\"1\"},\"window_seconds\":60},\"signatures_in_all\":1}"
    );
    assert_eq!(serde_json::from_str::<Counters>(&text).unwrap(), counters);
    assert_eq!(text, serde_json::to_string(&counters).unwrap(), "members are declared in order");
}

/// Something is asked for: after a step of time, or at one in the past.
fn asks() -> impl Strategy<Value = Vec<(i64, u128, bool)>> {
    let step = prop_oneof![4 => 0_i64..20_000, 2 => 0_i64..400_000, 1 => -50_000_i64..0];
    prop::collection::vec((step, 0_u128..60, any::<bool>()), 1..80)
}

/// What every reservation of `asks` was, with the time as it counts.
struct Played {
    taken: Vec<(u64, u128)>,
    counters: Counters,
    last_ms: u64,
}

/// Asks for GAS or NEO under the policy of each step, and checks each yes against the list of all before it.
fn play(
    asks: &[(i64, u128, bool)],
    policy_of: impl Fn(usize) -> (Policy, u128, u64),
) -> Result<Played, TestCaseError> {
    let mut played = Played { taken: vec![], counters: Counters::default(), last_ms: 0 };
    let mut now_ms = NOW_MS;
    for (index, (step, amount, is_gas)) in asks.iter().enumerate() {
        now_ms = now_ms.saturating_add_signed(*step);
        let (policy, max, window_ms) = policy_of(index);
        let spend = Spend { asset: if *is_gas { GAS } else { NEO }, amount: *amount };
        let Ok(next) = reserve(&policy, &played.counters, &spend, now_ms) else { continue };
        played.last_ms = now_ms.max(played.last_ms);
        played.counters = next;
        if *is_gas {
            played.taken.push((played.last_ms, *amount));
            let within = played.taken.iter().filter(|(at_ms, _)| at_ms + window_ms >= played.last_ms);
            let sum: u128 = within.map(|(_, amount)| amount).sum();
            prop_assert!(*amount == 0 || sum <= max, "{} of {}", sum, max);
        }
    }
    Ok(played)
}

proptest! {
    /// No window of the rule's length, wherever it ends, holds more than the bound.
    #[test]
    fn no_sliding_window_ever_holds_more_than_its_bound(
        asks in asks(), max in 1_u128..200, window_seconds in 60_u32..600,
    ) {
        let policy = amounts(vec![window(GAS, max, window_seconds)]);
        play(&asks, |_| (policy.clone(), max, u64::from(window_seconds) * 1_000))?;
    }

    /// Nor when the rule is made stricter, or its bound moved, along the way.
    #[test]
    fn a_window_that_shrinks_forgets_nothing_that_it_must_count(
        asks in asks(), bounds in prop::collection::vec(1_u128..200, 80), first in 60_u32..600, shrink in 0_u32..8,
    ) {
        play(&asks, |index| {
            let seconds = first.saturating_sub(shrink * u32::try_from(index).unwrap()).max(60);
            (amounts(vec![window(GAS, bounds[index], seconds)]), bounds[index], u64::from(seconds) * 1_000)
        })?;
    }

    /// What is allowed stays allowed for less, for later, and under a wider bound.
    #[test]
    fn less_and_later_are_never_worse(
        asks in asks(), max in 1_u128..200, amount in 1_u128..200, less in 0_u128..200, later_ms in 0_u64..2_000_000,
    ) {
        let policy = amounts(vec![window(GAS, max, 120)]);
        let played = play(&asks, |_| (policy.clone(), max, 120_000))?;
        let at = |policy: &Policy, amount, now_ms| reserve(policy, &played.counters, &gas(amount), now_ms).is_ok();
        if at(&policy, amount, played.last_ms) {
            prop_assert!(at(&policy, amount.min(less), played.last_ms));
            prop_assert!(at(&policy, amount, played.last_ms + later_ms));
            prop_assert!(at(&amounts(vec![window(GAS, max + less, 120)]), amount, played.last_ms));
        }
        // And the whole bound is free again a window and a bucket later.
        prop_assert!(at(&policy, max, played.last_ms + 125_000));
    }

    /// A clock that is set back gains nothing.
    #[test]
    fn time_never_goes_back(asks in asks(), max in 1_u128..200, back_ms: u64, amount in 0_u128..200) {
        let policy = amounts(vec![window(GAS, max, 120)]);
        let played = play(&asks, |_| (policy.clone(), max, 120_000))?;
        prop_assert_eq!(
            reserve(&policy, &played.counters, &gas(amount), played.last_ms.saturating_sub(back_ms)),
            reserve(&policy, &played.counters, &gas(amount), played.last_ms)
        );
    }
}
