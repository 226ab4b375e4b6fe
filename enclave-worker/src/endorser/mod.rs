//! A worker as one of the pool that remembers, together, how far each wallet's reservations go (D10): a state machine
//! without I/O. Whatever host drives it, in whatever order, with whatever it replays, forks or leaves out: no two
//! reservations of one wallet and sequence are ever both endorsed by a majority, and each that was is an ancestor of all
//! later ones, across views too.
//!
//! What it rests on: a member endorses one reservation of a sequence, and the next only after proof that a majority
//! endorsed the one before; it leaves a view once, for one set of next members, and endorses nothing after; two
//! majorities share a member; and a worker that starts again has another key, so whoever forgot is no member.

mod held;
mod lineage;

use std::collections::BTreeMap;
use std::sync::Arc;

use nsl_schemas::authority::{KeySignature, Operators, Signed, Statement};
use nsl_schemas::bytes::{Base64, Sha256};
use nsl_schemas::envelope::statement_bytes;
use nsl_schemas::errors::{self, ErrorCode};
use nsl_schemas::nkey::{PublicKey, SigningKey};
use nsl_schemas::pool_view::{
    Certificate, EndorsementStatement, Finalisation, FinalisationStatement, Heads, HeadsError, PoolLink,
    PoolView, SuccessionError, is_sorted_set, succeeds,
};
use nsl_schemas::reservation::{Head, Reservation, WalletName};

use held::Held;
use lineage::Lineage;

/// Why a worker does not do what a pool's member is asked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It was in no view, or is in a later one.
    #[error("this worker is not a member of the pool's present view")]
    NoView,
    /// It left its view.
    #[error("this worker left its view, and is not established in the next one yet")]
    Left,
    /// It left it, and not for these.
    #[error("this worker left its view for other members")]
    LeftForOthers,
    /// Too many wallets.
    #[error("the pool has as many wallets with reservations as it takes")]
    Full,
    /// Two reservations of one sequence were handed on.
    #[error("two reservations of the wallet's last sequence are known; the operators must establish a pool")]
    Disputed,
    /// Not a majority's, not of this view, or not of the reservation before.
    #[error("the certificate is not one of this view for the reservation before this one")]
    Certificate,
    /// It does not follow what is known to be certified.
    #[error(
        "the reservation of sequence {found} does not follow what is certified; the next sequence is {expected}"
    )]
    NotNext {
        /// Of the next one.
        expected: u32,
        /// Of this one.
        found: u32,
    },
    /// Another one was endorsed.
    #[error("another reservation of sequence {sequence} was endorsed")]
    OtherEndorsed {
        /// Which.
        sequence: u32,
    },
    /// There is nothing to say again.
    #[error("this worker did not endorse that in its view")]
    NotEndorsed,
    /// For another log.
    #[error("the reservation is of another genesis manifest")]
    OtherGenesis,
    /// A view does not follow.
    #[error(transparent)]
    Succession(#[from] SuccessionError),
    /// Heads cannot be handed on.
    #[error(transparent)]
    Heads(#[from] HeadsError),
    /// The heads are not those that the view names.
    #[error("the view starts with other heads")]
    OtherHeads,
    /// Not the operators' last, and not what the farewells come to.
    #[error("the view is neither the operators' last nor what those come to who left the one before")]
    OtherView,
    /// A next member did not prove itself.
    #[error("a next member is not proven to be a worker of an allowed build")]
    Newcomer,
}

impl Error {
    /// What the host hears.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NoView | Self::Left | Self::Full => errors::POOL_NOT_ESTABLISHED,
            Self::Disputed | Self::NotNext { .. } | Self::OtherEndorsed { .. } | Self::NotEndorsed => {
                errors::ENDORSEMENT_REFUSED
            }
            Self::LeftForOthers
            | Self::Certificate
            | Self::OtherGenesis
            | Self::Succession(_)
            | Self::Heads(_)
            | Self::OtherHeads
            | Self::OtherView
            | Self::Newcomer => errors::POOL_VIEW_INVALID,
        }
    }
}

/// One worker as an endorser.
#[derive(Debug)]
pub struct Endorser {
    key: Arc<SigningKey>,
    genesis_sha256: Sha256,
    /// None before the operators established a pool.
    lineage: Option<Lineage>,
    held: Option<Held>,
    /// Its own farewell, to say again.
    farewell: Option<Finalisation>,
    /// What others said who left the lineage's tip.
    witnessed: BTreeMap<PublicKey, Finalisation>,
}

impl Endorser {
    /// Remembers nothing.
    pub fn new(key: Arc<SigningKey>, genesis_sha256: Sha256) -> Self {
        let (lineage, held, farewell, witnessed) = (None, None, None, BTreeMap::new());
        Self { key, genesis_sha256, lineage, held, farewell, witnessed }
    }

    /// The key by which it is a member.
    pub fn key(&self) -> PublicKey {
        self.key.public()
    }

    /// Takes in which pool the operators established last. Whatever was before that is over.
    pub fn follow(&mut self, operators: &Operators) {
        let Some(pool) = operators.pool() else { return };
        let known = self.lineage.as_ref().map_or(0, |lineage| lineage.root().number);
        if pool.view.number > known {
            self.lineage = Some(Lineage::of_root(pool.view.clone()));
            (self.held, self.farewell) = (None, None);
            self.witnessed.clear();
        }
    }

    /// The view of this name, if it is the operators' last or followed it.
    pub fn view_named(&self, view_sha256: &Sha256) -> Option<&PoolView> {
        self.lineage.as_ref()?.named(view_sha256)
    }

    /// The last view that it knows of.
    pub fn newest_view(&self) -> Option<&PoolView> {
        self.lineage.as_ref().map(Lineage::tip)
    }

    /// The view that it is in, or has left.
    pub fn view(&self) -> Option<&PoolView> {
        self.held.as_ref().map(|held| &held.view)
    }

    /// For whom it left its view, if it did.
    pub fn left_for(&self) -> Option<&[PublicKey]> {
        self.held.as_ref()?.left_for.as_deref()
    }

    /// What followed the operators' view, as far as it knows.
    pub fn links(&self) -> &[PoolLink] {
        self.lineage.as_ref().map(Lineage::links).unwrap_or_default()
    }

    /// Endorses a reservation, whose seal was checked.
    pub fn endorse(
        &mut self,
        reservation: &Reservation,
        certificate: Option<&Certificate>,
    ) -> Result<Signed<EndorsementStatement>, Error> {
        if reservation.genesis_sha256 != self.genesis_sha256 {
            return Err(Error::OtherGenesis);
        }
        let held = self.held.as_mut().ok_or(Error::NoView)?;
        let statement = held.endorse(reservation, certificate)?;
        Ok(self.sign(statement))
    }

    /// Endorses again what it endorsed in its view.
    pub fn recall(&self, wallet: &WalletName, head: &Head) -> Result<Signed<EndorsementStatement>, Error> {
        let statement = self.held.as_ref().ok_or(Error::NoView)?.recall(wallet, head)?;
        Ok(self.sign(statement))
    }

    /// Takes in views that followed the operators'.
    pub fn learn(&mut self, links: Vec<PoolLink>) -> Result<(), Error> {
        let lineage = self.lineage.as_mut().ok_or(Error::NoView)?;
        let tip = lineage.tip().number;
        let learnt = lineage.learn(links);
        if lineage.tip().number > tip {
            self.witnessed.clear();
        }
        learnt
    }

    /// Leaves the view for `members`; `is_worker` tells of each that is new whether it is one that may be a member.
    pub fn finalise(
        &mut self,
        view_sha256: &Sha256,
        members: &[PublicKey],
        is_worker: impl Fn(&PublicKey) -> bool,
    ) -> Result<Finalisation, Error> {
        if let Some(said) =
            self.farewell.as_ref().filter(|one| one.signed.statement.view_sha256 == *view_sha256)
        {
            let is_same = said.signed.statement.members == members;
            return if is_same { Ok(said.clone()) } else { Err(Error::LeftForOthers) };
        }
        let held = self.held.as_mut().filter(|held| held.view_sha256 == *view_sha256).ok_or(Error::NoView)?;
        if !is_sorted_set(members) {
            return Err(Error::Succession(SuccessionError::Unsound));
        }
        if !members.iter().all(|key| held.view.has(key) || is_worker(key)) {
            return Err(Error::Newcomer);
        }
        let heads = held.heads()?;
        held.left_for = Some(members.to_vec());
        let statement = FinalisationStatement {
            genesis_sha256: self.genesis_sha256,
            heads_sha256: heads.sha256(),
            members: members.to_vec(),
            view_sha256: *view_sha256,
        };
        let finalisation = Finalisation { heads, signed: self.sign(statement) };
        self.farewell = Some(finalisation.clone());
        Ok(finalisation)
    }

    /// Takes in that a member left the lineage's tip. What it is worth is judged when a view is to follow from it.
    pub fn witness(&mut self, finalisation: Finalisation) -> Result<(), Error> {
        let tip = self.lineage.as_ref().ok_or(Error::NoView)?.tip();
        let [signature] = finalisation.signed.signatures.as_slice() else { return Err(Error::OtherView) };
        let key = signature.key;
        if !tip.has(&key) || finalisation.signed.statement.view_sha256 != tip.sha256() {
            return Err(Error::OtherView);
        }
        // At most one a member is kept, and members are few.
        self.witnessed.insert(key, finalisation);
        Ok(())
    }

    /// Begins to endorse in the operators' view, with the heads that it names.
    pub fn establish_root(&mut self, view: &PoolView, heads: Heads) -> Result<(), Error> {
        if self.is_in(view) {
            return Ok(());
        }
        let lineage = self.lineage.as_ref().ok_or(Error::NoView)?;
        // Whoever was in a view of this lineage may have endorsed more than these heads tell.
        if lineage.root() != view || self.held.is_some() {
            return Err(Error::OtherView);
        }
        if heads.sha256() != view.heads_sha256 {
            return Err(Error::OtherHeads);
        }
        self.enter(view.clone(), heads)
    }

    /// Begins to endorse in the view that follows the lineage's tip, by the farewells of `leavers`.
    pub fn establish_next(&mut self, view: &PoolView, leavers: &[PublicKey]) -> Result<(), Error> {
        if self.is_in(view) {
            return Ok(());
        }
        let lineage = self.lineage.as_mut().ok_or(Error::NoView)?;
        let finalisations: Vec<_> =
            leavers.iter().filter_map(|key| self.witnessed.get(key)).cloned().collect();
        let (next, heads) = succeeds(lineage.tip(), &finalisations)?;
        if next != *view {
            return Err(Error::OtherView);
        }
        if !next.has(&self.key.public()) {
            return Err(Error::NoView);
        }
        let finalisations = finalisations.into_iter().map(|one| one.signed).collect();
        lineage.push(PoolLink { finalisations, view: next.clone() })?;
        self.witnessed.clear();
        self.enter(next, heads)
    }

    fn is_in(&self, view: &PoolView) -> bool {
        self.view() == Some(view)
    }

    fn enter(&mut self, view: PoolView, heads: Heads) -> Result<(), Error> {
        if !view.has(&self.key.public()) {
            return Err(Error::NoView);
        }
        if self.view().is_some_and(|held| held.number >= view.number) {
            return Err(Error::OtherView);
        }
        self.held = Some(Held::new(view, heads));
        Ok(())
    }

    fn sign<T: Statement>(&self, statement: T) -> Signed<T> {
        let signature = Base64(self.key.sign(&statement_bytes(T::TAG, &statement)).to_vec());
        let signatures = vec![KeySignature { key: self.key.public(), signature }];
        Signed { statement, signatures }
    }
}

#[cfg(test)]
mod tests;
