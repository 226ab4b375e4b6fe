//! What a member remembers of each wallet while its view lasts. All that keeps limits from being spent twice is here: a
//! member endorses one reservation of a sequence and no other, and the next one only after a majority's proof of it.

use std::collections::{BTreeMap, VecDeque};

use nsl_schemas::bytes::Sha256;
use nsl_schemas::nkey::PublicKey;
use nsl_schemas::pool_view::{
    Certificate, EndorsementStatement, HEADS_MAX, Heads, HeadsError, PoolView, Standing, WalletHead,
};
use nsl_schemas::reservation::{Head, Reservation, WalletName};

use super::Error;

/// Certified reservations of a wallet that are endorsed again when asked: a host that starts again may have as many
/// transfers of one wallet under way as a wallet may have open.
const RECENT_MAX: usize = 64;

/// Most wallets of a view: what members know of beside each other when they leave it must fit the next one's heads too.
const WALLETS_MAX: usize = HEADS_MAX - 100;

/// A view of which this worker is a member.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) view: PoolView,
    pub(super) view_sha256: Sha256,
    wallets: BTreeMap<WalletName, Memory>,
    /// For whom it was left; nothing new is endorsed then.
    pub(super) left_for: Option<Vec<PublicKey>>,
}

/// One wallet.
#[derive(Debug)]
struct Memory {
    /// What a majority of this view endorsed, or the view started with.
    certified: Head,
    /// What this worker endorsed after that: of the next sequence, always.
    endorsed: Option<Head>,
    /// Certified before, newest last.
    recent: VecDeque<Head>,
    is_disputed: bool,
}

impl Memory {
    fn starting_with(standing: Standing) -> Self {
        let Standing { head, is_disputed } = standing;
        Self { certified: head, endorsed: None, recent: VecDeque::new(), is_disputed }
    }

    /// Whether this worker endorsed it in this view, or started with it.
    fn stands_by(&self, head: &Head) -> bool {
        self.certified == *head || self.endorsed.as_ref() == Some(head) || self.recent.contains(head)
    }

    /// Takes in that a majority endorsed `head`, whatever was held here: who lags behind jumps.
    fn certify(&mut self, head: Head) {
        if head.sequence <= self.certified.sequence {
            return;
        }
        if self.recent.len() >= RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(std::mem::replace(&mut self.certified, head));
        // It was of a sequence that is settled now: the same reservation, or one that lost.
        self.endorsed = None;
    }
}

impl Held {
    pub(super) fn new(view: PoolView, heads: Heads) -> Self {
        let wallets: Vec<WalletHead> = heads.into();
        let memory = |line: WalletHead| (line.wallet, Memory::starting_with(line.standing));
        let wallets = wallets.into_iter().map(memory).collect();
        Self { view_sha256: view.sha256(), view, wallets, left_for: None }
    }

    /// Endorses `reservation`, or says why not.
    pub(super) fn endorse(
        &mut self,
        reservation: &Reservation,
        certificate: Option<&Certificate>,
    ) -> Result<EndorsementStatement, Error> {
        let (wallet, head) = (reservation.wallet_name(), reservation.head());
        if self.wallets.get(&wallet).is_some_and(|memory| memory.endorsed == Some(head)) {
            return Ok(self.statement(wallet, head));
        }
        if self.left_for.is_some() {
            return Err(Error::Left);
        }
        let proven = certificate.map(|certificate| self.proven(reservation, certificate)).transpose()?;
        let is_known = self.wallets.contains_key(&wallet);
        if !is_known && self.wallets.len() >= WALLETS_MAX {
            return Err(Error::Full);
        }
        let unheard = || Memory::starting_with(Head::before_first().into());
        let memory = self.wallets.entry(wallet.clone()).or_insert_with(unheard);
        if memory.is_disputed {
            return Err(Error::Disputed);
        }
        if let Some(head) = proven {
            memory.certify(head);
        }
        if !memory.stands_by(&head) {
            if !reservation.follows(&memory.certified) {
                let (expected, found) = (memory.certified.sequence.saturating_add(1), reservation.sequence);
                return Err(Error::NotNext { expected, found });
            }
            if memory.endorsed.is_some() {
                return Err(Error::OtherEndorsed { sequence: reservation.sequence });
            }
            memory.endorsed = Some(head);
        }
        Ok(self.statement(wallet, head))
    }

    /// The head that the certificate proves: that of the reservation before this one.
    fn proven(&self, reservation: &Reservation, certificate: &Certificate) -> Result<Head, Error> {
        let sequence = reservation.sequence.checked_sub(1).ok_or(Error::Certificate)?;
        let head = Head { sequence, sha256: reservation.previous_sha256 };
        let is_proven = certificate.certifies(&self.view, &reservation.wallet_name(), &head);
        if is_proven { Ok(head) } else { Err(Error::Certificate) }
    }

    /// Endorses again what was endorsed, also after the view was left: it is among the heads that were handed on.
    pub(super) fn recall(&self, wallet: &WalletName, head: &Head) -> Result<EndorsementStatement, Error> {
        let memory = self.wallets.get(wallet).ok_or(Error::NotEndorsed)?;
        if memory.is_disputed || !memory.stands_by(head) {
            return Err(Error::NotEndorsed);
        }
        Ok(self.statement(wallet.clone(), *head))
    }

    /// What this worker knows of the wallets.
    pub(super) fn heads(&self) -> Result<Heads, HeadsError> {
        let mut heads = Heads::default();
        for (wallet, memory) in &self.wallets {
            let head = memory.endorsed.unwrap_or(memory.certified);
            if head.sequence > 0 || memory.is_disputed {
                heads.set(wallet.clone(), Standing { head, is_disputed: memory.is_disputed })?;
            }
        }
        Ok(heads)
    }

    fn statement(&self, wallet: WalletName, head: Head) -> EndorsementStatement {
        let (genesis_sha256, view_sha256) = (self.view.genesis_sha256, self.view_sha256);
        EndorsementStatement { genesis_sha256, head, view_sha256, wallet }
    }
}
