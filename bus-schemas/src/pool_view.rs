//! Pool views: which workers, together, remember how far each wallet's reservations go, so that rules that count hold
//! against a host that replays, forks or withholds (D10).
//!
//! A majority of a view *endorses* a reservation before any worker signs what it is for. A view's members are in
//! memory alone: one that starts again has another key and is a member no more. So a view ends when a majority of it
//! *finalises* it for the members of the next one, or when the operators *establish* another (`establish-pool`).

mod heads;
mod lineage;

use serde::{Deserialize, Serialize};

pub use heads::{HEADS_MAX, Heads, HeadsError, Standing, WalletHead};
pub use lineage::{
    Finalisation, FinalisationStatement, LINKS_MAX, PoolLink, SuccessionError, VIEWS_PER_ACT, succeeds,
};

use crate::authority::{QUORUM_KEYS_MAX, Quorum, Signed, Statement};
use crate::bytes::Sha256;
use crate::canonical;
use crate::nkey::PublicKey;
use crate::reservation::{Head, WalletName};

/// Who endorse, and from which heads on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PoolView {
    /// The log.
    pub genesis_sha256: Sha256,
    /// [`Heads::sha256`] of the heads that the view starts with.
    pub heads_sha256: Sha256,
    /// The keys by which its workers sign outcomes, sorted, without repeats, at most [`QUORUM_KEYS_MAX`].
    pub members: Vec<PublicKey>,
    /// Counts the views; one that the operators establish skips those that could have followed the last.
    pub number: u32,
}

impl PoolView {
    /// Its name in endorsements and finalisations.
    pub fn sha256(&self) -> Sha256 {
        canonical::sha256(self)
    }

    /// More than half of the members: any two such sets share one.
    pub fn majority(&self) -> Quorum {
        // A view that was not checked may have more members than a quorum; such a one is never met.
        let threshold = u8::try_from(self.members.len() / 2 + 1).unwrap_or(u8::MAX);
        Quorum { threshold, keys: self.members.clone() }
    }

    /// Whether it can have a majority and has but one form.
    pub fn is_sound(&self) -> bool {
        is_sorted_set(&self.members) && self.number >= 1
    }

    /// Whether the worker of this key endorses in it.
    pub fn has(&self, key: &PublicKey) -> bool {
        self.members.binary_search(key).is_ok()
    }
}

/// Whether `members` are some, not too many, sorted, each once.
pub fn is_sorted_set(members: &[PublicKey]) -> bool {
    (1..=QUORUM_KEYS_MAX).contains(&members.len()) && members.is_sorted_by(|one, next| one < next)
}

/// A member of a view knows of nothing after this reservation, and will not endorse another of its sequence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EndorsementStatement {
    /// The log.
    pub genesis_sha256: Sha256,
    /// The reservation.
    pub head: Head,
    /// [`PoolView::sha256`] of the view in which it is endorsed.
    pub view_sha256: Sha256,
    /// Whose.
    pub wallet: WalletName,
}

impl Statement for EndorsementStatement {
    const TAG: &'static str = "nsl-endorsement-v1";
}

/// A reservation's endorsements; it certifies what [`Certificate::is_of`] says.
pub type Certificate = Signed<EndorsementStatement>;

impl Certificate {
    /// Whether a majority of `view` endorsed.
    pub fn is_of(&self, view: &PoolView) -> bool {
        self.statement.genesis_sha256 == view.genesis_sha256
            && self.statement.view_sha256 == view.sha256()
            && self.is_signed_by(&view.majority())
    }

    /// Whether a majority of `view` endorsed exactly `head` of `wallet`.
    pub fn certifies(&self, view: &PoolView, wallet: &WalletName, head: &Head) -> bool {
        self.statement.wallet == *wallet && self.statement.head == *head && self.is_of(view)
    }
}

#[cfg(test)]
mod tests;
