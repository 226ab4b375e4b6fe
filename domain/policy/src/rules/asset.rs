//! The assets that may move, and how much of each in one transaction.

use std::collections::BTreeSet;

use nsl_neo::Hash160;
use nsl_schemas::policy::{ASSETS_MAX, AssetRule, Policy};

use super::is_canonical;
use crate::{Denied, TransferFacts, Unsound};

pub(crate) fn check(policy: &Policy, transfer: &TransferFacts<'_>) -> Result<(), Denied> {
    let rule = policy.assets.iter().find(|rule| rule.asset == transfer.asset).ok_or(Denied::Asset)?;
    if transfer.amount == 0 || transfer.amount > rule.amount_max.0 {
        return Err(Denied::Amount);
    }
    Ok(())
}

pub(crate) fn check_sound(policy: &Policy) -> Result<(), Unsound> {
    if policy.assets.is_empty() {
        return Err(Unsound::Assets);
    }
    check_list(&policy.assets)
}

/// Whether the list names different assets, each with a bound that something meets.
pub(crate) fn check_list(assets: &[AssetRule]) -> Result<(), Unsound> {
    let distinct: BTreeSet<_> = assets.iter().map(|rule| &rule.asset).collect();
    if assets.len() > ASSETS_MAX || distinct.len() != assets.len() {
        return Err(Unsound::Assets);
    }
    for rule in assets {
        if !is_canonical::<Hash160>(&rule.asset) {
            return Err(Unsound::Asset(rule.asset.clone()));
        }
        if rule.amount_max.0 == 0 {
            return Err(Unsound::Bound(rule.asset.clone()));
        }
    }
    Ok(())
}

/// Whether `free` leaves the transfer to its issuer alone.
pub(crate) fn is_free(free: &[AssetRule], transfer: &TransferFacts<'_>) -> bool {
    free.iter().any(|rule| rule.asset == transfer.asset && transfer.amount <= rule.amount_max.0)
}
