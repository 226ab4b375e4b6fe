//! Reservations: what a transfer takes of a policy that counts is in the log before a worker signs it.
//!
//! The log's reservations of a wallet are one chain: each follows the last by sequence and hash, and has the counters that
//! its policy makes of the last one's. Whether a worker made it, its seal says, which only workers can read; here the
//! worker's signature on the outcome says so.

use std::sync::Arc;

use nsl_policy::{Spend, TransferFacts, reserve};
use nsl_schemas::bytes::Sha256;
use nsl_schemas::command::wallet::WalletCommand;
use nsl_schemas::errors;
use nsl_schemas::event::wallet::{OutcomeProof, TransferRefused, TransferReserved, WalletEvent};
use nsl_schemas::outcome::JobResult;
use nsl_schemas::policy::Counters;
use nsl_schemas::reservation::{Head, Reservation, SEAL_BYTES, SealedReservation};
use uuid::Uuid;

use super::{AnsweredTransfer, OpenWallet, RESERVED_MAX, Transfer};
use crate::decision::{Order, Rejection};
use crate::outcome::{ProvenOutcome, wrong_kind};

impl OpenWallet {
    /// See [`super::Wallet::reservation`].
    pub(super) fn reservation(&self, request_id: Uuid) -> Option<&SealedReservation> {
        match self.transfers.get(&request_id) {
            Some(Transfer::Requested { reservation, .. }) => {
                reservation.as_deref().filter(|one| one.reservation.policy_sha256 == self.policy.sha256())
            }
            Some(Transfer::Signed { .. }) | None => None,
        }
    }

    /// See [`super::Wallet::reserves_next`].
    pub(super) fn reserves_next(&self, now_ms: u64) -> Option<Uuid> {
        if !self.policy.counts() {
            return None;
        }
        let policy_sha256 = self.policy.sha256();
        if self.reserved(policy_sha256) >= RESERVED_MAX {
            return None;
        }
        let waiting = self.transfers.values().filter_map(|transfer| match transfer {
            Transfer::Requested { request, sign_by_ms, hold, reservation, .. }
                if hold.is_over(now_ms) && !is_under(reservation.as_ref(), policy_sha256) =>
            {
                Some((sign_by_ms.map_or(u64::MAX, |sign_by_ms| sign_by_ms.0), request.id))
            }
            Transfer::Requested { .. } | Transfer::Signed { .. } => None,
        });
        waiting.min().map(|(_, request_id)| request_id)
    }

    /// How many have a reservation under this policy and no signature.
    fn reserved(&self, policy_sha256: Sha256) -> usize {
        let is_reserved = |transfer: &&Transfer| matches!(transfer, Transfer::Requested { reservation, .. } if is_under(reservation.as_ref(), policy_sha256));
        self.transfers.values().filter(is_reserved).count()
    }

    /// What a worker answered to the job that reserves for `transfer`.
    pub(super) fn transfer_reserved(
        &self,
        order: &Order<WalletCommand>,
        outcome: &ProvenOutcome<'_>,
        answered: &AnsweredTransfer<'_>,
    ) -> Result<Vec<WalletEvent>, Rejection> {
        let request_id = answered.request.id;
        match &outcome.0.result {
            JobResult::TransferReserved { reservation } => {
                self.check_reservation(order, reservation, answered)?;
                let (outcome, reservation) = (OutcomeProof::from(outcome.0), reservation.clone());
                Ok(vec![TransferReserved { outcome, request_id, reservation }.into()])
            }
            JobResult::Refused { code, message } => {
                Ok(vec![TransferRefused { request_id, refusal: outcome.refusal(code, message)? }.into()])
            }
            JobResult::KeyCreated { .. }
            | JobResult::PolicyReplaced { .. }
            | JobResult::TransferSigned { .. }
            | JobResult::SecretSealed { .. }
            | JobResult::SecretRevealed { .. } => Err(wrong_kind()),
        }
    }

    fn check_reservation(
        &self,
        order: &Order<WalletCommand>,
        sealed: &SealedReservation,
        answered: &AnsweredTransfer<'_>,
    ) -> Result<(), Rejection> {
        let invalid = |message: &str| Err(Rejection::new(errors::OUTCOME_INVALID, message));
        let (reservation, policy_sha256) = (&sealed.reservation, self.policy.sha256());
        let is_for_this = reservation.genesis_sha256 == order.facts.genesis.sha256
            && reservation.tenant == order.tenant
            && reservation.wallet == order.id
            && reservation.request_id == answered.request.id
            && reservation.request_sha256 == answered.request.sha256
            && reservation.tx_hash == answered.tx_hash
            && reservation.policy_sha256 == policy_sha256
            && reservation.key_version <= self.sealed_key.version;
        if !is_for_this || sealed.seal.0.len() != SEAL_BYTES {
            return invalid("the reservation is for something else");
        }
        let out_of_turn = |message: &str| Err(Rejection::new(errors::RESERVATION_OUT_OF_TURN, message));
        let last = self.last_reservation.as_ref().map(|last| &last.reservation);
        if !reservation.follows(&last.map_or_else(Head::before_first, Reservation::head)) {
            return out_of_turn("the reservation does not follow the wallet's last one");
        }
        if self.reserved(policy_sha256) >= RESERVED_MAX {
            return out_of_turn("the wallet has as many reservations without signatures as it may have");
        }
        let nothing = Counters::default();
        let before = last.map_or(&nothing, |last| &last.counters);
        let facts = TransferFacts::new(answered.transfer, order.issued_at_ms);
        let counted = reserve(&self.policy, before, &Spend::from(&facts), reservation.reserved_at_ms);
        if counted.as_ref() != Ok(&reservation.counters) {
            return invalid("the reservation's counters are not what the policy makes of the last one's");
        }
        Ok(())
    }

    /// Applies the event.
    pub(super) fn evolve_reserved(&mut self, event: TransferReserved) {
        let recorded = Arc::new(event.reservation);
        if let Some(Transfer::Requested { reservation, .. }) = self.transfers.get_mut(&event.request_id) {
            *reservation = Some(Arc::clone(&recorded));
        }
        self.last_reservation = Some(recorded);
    }
}

fn is_under(reservation: Option<&Arc<SealedReservation>>, policy_sha256: Sha256) -> bool {
    reservation.is_some_and(|one| one.reservation.policy_sha256 == policy_sha256)
}
