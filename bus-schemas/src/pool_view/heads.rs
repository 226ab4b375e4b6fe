//! How far each wallet's reservations go, as a view starts or a member leaves it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde::{Deserialize, Serialize};

use crate::bytes::Sha256;
use crate::canonical;
use crate::reservation::{Head, WalletName};

/// Most wallets with reservations in one pool. All of them, with the longest names, fit one message of a worker's channel
/// (256 KiB) with room for its signature: a view is handed on as a whole.
pub const HEADS_MAX: usize = 800;

/// What is known of one wallet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Standing {
    /// Its last reservation.
    pub head: Head,
    /// Whether two reservations of that sequence were endorsed, each by too few to count. Nothing more is endorsed of a
    /// disputed wallet until the operators establish a pool.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_disputed: bool,
}

impl From<Head> for Standing {
    fn from(head: Head) -> Self {
        Self { head, is_disputed: false }
    }
}

/// One wallet's line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WalletHead {
    /// What is known.
    pub standing: Standing,
    /// Of whom.
    pub wallet: WalletName,
}

/// Every wallet that ever reserved, each once, at most [`HEADS_MAX`]; in JSON a list, sorted by wallet.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<WalletHead>", into = "Vec<WalletHead>")]
pub struct Heads(BTreeMap<WalletName, Standing>);

/// Why lines are no heads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeadsError {
    /// Too many.
    #[error("a pool has heads of at most {HEADS_MAX} wallets")]
    TooMany,
    /// Not in their only order.
    #[error("heads are not sorted by wallet, or name one twice")]
    Order,
}

impl TryFrom<Vec<WalletHead>> for Heads {
    type Error = HeadsError;

    fn try_from(lines: Vec<WalletHead>) -> Result<Self, HeadsError> {
        if lines.len() > HEADS_MAX {
            return Err(HeadsError::TooMany);
        }
        if !lines.is_sorted_by(|one, next| one.wallet < next.wallet) {
            return Err(HeadsError::Order);
        }
        Ok(Self(lines.into_iter().map(|line| (line.wallet, line.standing)).collect()))
    }
}

impl From<Heads> for Vec<WalletHead> {
    fn from(heads: Heads) -> Self {
        heads.0.into_iter().map(|(wallet, standing)| WalletHead { standing, wallet }).collect()
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Heads {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Heads".into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let line = generator.subschema_for::<WalletHead>();
        schemars::json_schema!({"type": "array", "items": line, "maxItems": HEADS_MAX})
    }
}

impl Heads {
    /// What a view commits to.
    pub fn sha256(&self) -> Sha256 {
        canonical::sha256(self)
    }

    /// What is known of a wallet; of one that never reserved, that.
    pub fn of(&self, wallet: &WalletName) -> Standing {
        self.0.get(wallet).copied().unwrap_or_else(|| Head::before_first().into())
    }

    /// Puts down what is known of a wallet.
    pub fn set(&mut self, wallet: WalletName, standing: Standing) -> Result<(), HeadsError> {
        let is_full = self.0.len() >= HEADS_MAX;
        match self.0.entry(wallet) {
            Entry::Vacant(_) if is_full => return Err(HeadsError::TooMany),
            Entry::Vacant(place) => drop(place.insert(standing)),
            Entry::Occupied(mut place) => drop(place.insert(standing)),
        }
        Ok(())
    }

    /// How many wallets.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no wallet ever reserved.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What several members' heads come to: of each wallet the furthest. Whatever a majority endorsed is in it, when a
    /// majority is merged: one of them endorsed it, or something that follows it.
    pub fn merge<'a>(members: impl IntoIterator<Item = &'a Self>) -> Result<Self, HeadsError> {
        let mut merged = Self::default();
        for (wallet, standing) in members.into_iter().flat_map(|heads| &heads.0) {
            let standing = match merged.0.get(wallet) {
                Some(known) => furthest(*known, *standing),
                None => *standing,
            };
            merged.set(wallet.clone(), standing)?;
        }
        Ok(merged)
    }
}

/// The one of higher sequence. Two of one sequence are a dispute, named by the smaller hash so that it has one form. A
/// dispute lasts: whoever knows of it knows that from an earlier view, in which nothing was endorsed after it.
fn furthest(one: Standing, other: Standing) -> Standing {
    use std::cmp::Ordering::{Equal, Greater, Less};
    match one.head.sequence.cmp(&other.head.sequence) {
        Greater => one,
        Less => other,
        Equal if one.head == other.head => {
            Standing { head: one.head, is_disputed: one.is_disputed || other.is_disputed }
        }
        Equal => {
            let head = if one.head.sha256 < other.head.sha256 { one.head } else { other.head };
            Standing { head, is_disputed: true }
        }
    }
}
