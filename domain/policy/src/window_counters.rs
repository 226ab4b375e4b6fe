//! The rules that count over transactions, as a pure state machine: a reservation takes its share before anything is
//! signed, and what was reserved stays taken whether or not it is used.
//!
//! Counters are small (at most [`AMOUNT_WINDOWS_MAX`] windows and the signatures' one, each of [`crate::BUCKETS`] + 1
//! buckets) and written in canonical JSON, so each reservation can carry the state that it leads to. Every error of
//! approximation counts too much and too long, never too little.

use std::collections::BTreeSet;

use nsl_neo::Hash160;
use nsl_schemas::number::UnixMs;
use nsl_schemas::policy::{
    AMOUNT_WINDOWS_MAX, AmountWindow, AssetWindow, Counters, CountingRules, Policy, WINDOW_SECONDS_MAX,
    WINDOW_SECONDS_MIN, Window,
};

use crate::rules::is_canonical;
use crate::{Denied, TransferFacts, Unsound, window};

/// What one signature takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spend<'a> {
    /// The NEP-17 contract, `0x…`.
    pub asset: &'a str,
    /// In the token's smallest unit.
    pub amount: u128,
}

impl<'a> From<&TransferFacts<'a>> for Spend<'a> {
    fn from(transfer: &TransferFacts<'a>) -> Self {
        Self { asset: transfer.asset, amount: transfer.amount }
    }
}

/// The counters after `spend` at `now_ms`, or the rule that says no. A time before the last counts as the last. Counters
/// of a policy that was replaced go on under the new one: what it counts no longer is dropped, and what it counts in
/// another window is taken over from the widest one of the same asset, as far as that reached back.
pub fn reserve(
    policy: &Policy,
    counters: &Counters,
    spend: &Spend<'_>,
    now_ms: u64,
) -> Result<Counters, Denied> {
    let now_ms = now_ms.max(counters.last_ms.0);
    let unlimited = CountingRules::default();
    let rules = policy.rules.counting.as_ref().unwrap_or(&unlimited);
    let amounts = rules
        .amounts
        .iter()
        .map(|rule| {
            let taken = if rule.asset == spend.asset { spend.amount } else { 0 };
            let before = amount_window(counters, rule);
            let window = window::add(&before, taken, rule.amount_max.0, now_ms)
                .or_else(|exceeded| if taken == 0 { Ok(before) } else { Err(exceeded) })
                .map_err(|_| Denied::AmountWindow)?;
            Ok(AssetWindow { asset: rule.asset.clone(), window })
        })
        .collect::<Result<_, Denied>>()?;
    let signatures = match &rules.signatures {
        Some(rule) => {
            let before = signature_window(counters, rule.window_seconds);
            let after = window::add(&before, 1, u128::from(rule.count_max), now_ms);
            Some(after.map_err(|_| Denied::SignatureRate)?)
        }
        None => None,
    };
    let in_all_max = rules.signatures_in_all_max.unwrap_or(u32::MAX);
    let signatures_in_all = counters
        .signatures_in_all
        .checked_add(1)
        .filter(|count| *count <= in_all_max)
        .ok_or(Denied::SignaturesUsedUp)?;
    Ok(Counters { amounts, last_ms: UnixMs(now_ms), signatures, signatures_in_all })
}

/// What is known for a rule's window.
fn amount_window(counters: &Counters, rule: &AmountWindow) -> Window {
    let of_asset = || counters.amounts.iter().filter(|one| one.asset == rule.asset).map(|one| &one.window);
    of_asset()
        .find(|window| window.window_seconds == rule.window_seconds)
        .or_else(|| of_asset().max_by_key(|window| window.window_seconds))
        .map_or_else(
            || window::empty(rule.window_seconds),
            |window| window::resized(window, rule.window_seconds, counters.last_ms.0),
        )
}

fn signature_window(counters: &Counters, window_seconds: u32) -> Window {
    match &counters.signatures {
        Some(window) => window::resized(window, window_seconds, counters.last_ms.0),
        None => window::empty(window_seconds),
    }
}

pub(crate) fn check_sound(policy: &Policy) -> Result<(), Unsound> {
    let Some(rules) = &policy.rules.counting else { return Ok(()) };
    let distinct: BTreeSet<_> = rules.amounts.iter().map(|rule| (&rule.asset, rule.window_seconds)).collect();
    let bounds_nothing =
        rules.amounts.is_empty() && rules.signatures.is_none() && rules.signatures_in_all_max.is_none();
    let forbids_all = rules.amounts.iter().any(|rule| rule.amount_max.0 == 0)
        || rules.signatures.as_ref().is_some_and(|rule| rule.count_max == 0)
        || rules.signatures_in_all_max == Some(0);
    if bounds_nothing
        || forbids_all
        || rules.amounts.len() > AMOUNT_WINDOWS_MAX
        || distinct.len() != rules.amounts.len()
    {
        return Err(Unsound::Counting);
    }
    if let Some(rule) = rules.amounts.iter().find(|rule| !is_canonical::<Hash160>(&rule.asset)) {
        return Err(Unsound::Asset(rule.asset.clone()));
    }
    let windows = rules.amounts.iter().map(|rule| rule.window_seconds);
    let mut windows = windows.chain(rules.signatures.as_ref().map(|rule| rule.window_seconds));
    if windows.all(|seconds| (WINDOW_SECONDS_MIN..=WINDOW_SECONDS_MAX).contains(&seconds)) {
        Ok(())
    } else {
        Err(Unsound::Window)
    }
}

#[cfg(test)]
mod tests;
