//! How one view follows another without people: a majority of the members leave it, each for the same next members and
//! once only, so no view has two successors.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Heads, HeadsError, PoolView, is_sorted_set};
use crate::authority::{Signed, Statement};
use crate::bytes::Sha256;
use crate::envelope::statement_bytes;
use crate::nkey::PublicKey;

/// By how much the number of a view that operators establish is above the last such: whatever followed that one without
/// them has a smaller number, so they need not know how far it went.
pub const VIEWS_PER_ACT: u32 = 1_000;
/// Most views that follow one of the operators' without them: every new worker is shown all. With a worker replaced each
/// day, more than two years.
pub const LINKS_MAX: usize = VIEWS_PER_ACT as usize - 1;

/// A member endorses nothing more in this view, and leaves it for these members and no others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FinalisationStatement {
    /// The log.
    pub genesis_sha256: Sha256,
    /// [`Heads::sha256`] of what it knows of the wallets.
    pub heads_sha256: Sha256,
    /// The next view's.
    pub members: Vec<PublicKey>,
    /// The view that ends.
    pub view_sha256: Sha256,
}

impl Statement for FinalisationStatement {
    const TAG: &'static str = "nsl-pool-finalisation-v1";
}

/// A member's farewell, with the heads that it states the hash of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Finalisation {
    /// What it knows of the wallets.
    pub heads: Heads,
    /// By the member alone.
    pub signed: Signed<FinalisationStatement>,
}

/// Proves that a view follows the one before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PoolLink {
    /// Of a majority of the view before it.
    pub finalisations: Vec<Signed<FinalisationStatement>>,
    /// The view that follows. Which heads it starts with, this does not prove: that those do who leave it.
    pub view: PoolView,
}

/// Why a view does not follow another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SuccessionError {
    /// For another log.
    #[error("the view is of another genesis manifest")]
    OtherGenesis,
    /// Unsorted members, none, or too many.
    #[error("the view's members are none, too many, or not in order")]
    Unsound,
    /// Not the next number.
    #[error("the view is number {found}, the next is {expected}")]
    Number {
        /// The next.
        expected: u32,
        /// The view's.
        found: u32,
    },
    /// As many views followed one of the operators' as may.
    #[error("{LINKS_MAX} views followed the operators' last; they must establish the next")]
    Links,
    /// Not of a member, of another view, for other members, or with other heads than it states.
    #[error("a finalisation is not one of this view for the next one's members")]
    Finalisation,
    /// Too few.
    #[error("fewer than a majority of the view have finalised it")]
    NoMajority,
    /// The heads cannot be merged.
    #[error(transparent)]
    Heads(#[from] HeadsError),
}

impl PoolLink {
    /// Whether a majority of `previous` left it for this view's members.
    pub fn follows(&self, previous: &PoolView) -> Result<(), SuccessionError> {
        let view = &self.view;
        if view.genesis_sha256 != previous.genesis_sha256 {
            return Err(SuccessionError::OtherGenesis);
        }
        let expected = next_number(previous)?;
        if view.number != expected {
            return Err(SuccessionError::Number { expected, found: view.number });
        }
        check_majority(previous, &view.members, self.finalisations.iter())
    }
}

/// The view that a majority of `previous` left it for, with the heads that it starts with.
pub fn succeeds(
    previous: &PoolView,
    finalisations: &[Finalisation],
) -> Result<(PoolView, Heads), SuccessionError> {
    let first = finalisations.first().ok_or(SuccessionError::NoMajority)?;
    let members = first.signed.statement.members.clone();
    let number = next_number(previous)?;
    if finalisations.iter().any(|one| one.heads.sha256() != one.signed.statement.heads_sha256) {
        return Err(SuccessionError::Finalisation);
    }
    check_majority(previous, &members, finalisations.iter().map(|one| &one.signed))?;
    let heads = Heads::merge(finalisations.iter().map(|one| &one.heads))?;
    let view =
        PoolView { genesis_sha256: previous.genesis_sha256, heads_sha256: heads.sha256(), members, number };
    Ok((view, heads))
}

fn next_number(previous: &PoolView) -> Result<u32, SuccessionError> {
    let next = previous.number.checked_add(1).ok_or(SuccessionError::Links)?;
    // The operators' numbers are 1, 1001, 2001, …
    if next % VIEWS_PER_ACT == 1 { Err(SuccessionError::Links) } else { Ok(next) }
}

fn check_majority<'a>(
    previous: &PoolView,
    members: &[PublicKey],
    finalisations: impl Iterator<Item = &'a Signed<FinalisationStatement>>,
) -> Result<(), SuccessionError> {
    if !is_sorted_set(members) {
        return Err(SuccessionError::Unsound);
    }
    let view_sha256 = previous.sha256();
    let mut signers = BTreeSet::new();
    for one in finalisations {
        let statement = &one.statement;
        let [signature] = one.signatures.as_slice() else { return Err(SuccessionError::Finalisation) };
        let is_ours = statement.view_sha256 == view_sha256
            && statement.genesis_sha256 == previous.genesis_sha256
            && statement.members == members;
        // A second one of a member is a mistake, or the work of somebody who wants us to verify many.
        if !is_ours || !previous.has(&signature.key) || !signers.insert(signature.key) {
            return Err(SuccessionError::Finalisation);
        }
        let message = statement_bytes(FinalisationStatement::TAG, statement);
        if !signature.key.verifies(&message, &signature.signature.0) {
            return Err(SuccessionError::Finalisation);
        }
    }
    let is_met = signers.len() >= usize::from(previous.majority().threshold);
    if is_met { Ok(()) } else { Err(SuccessionError::NoMajority) }
}
