//! Withheld mode (D10): under a policy that counts, a worker signs only what a reservation was made for, and only with
//! proof that a majority of its own view holds that reservation to be the wallet's last.

use nsl_neo::PrivateKey;
use nsl_schemas::bytes::Sha256;
use nsl_schemas::errors;
use nsl_schemas::pool_view::{Certificate, PoolView};
use nsl_schemas::reservation::{RESERVATION_USE_MS_MAX, Reservation, SealedReservation};

use crate::judge::Subject;
use crate::refusal::{Failure, Refusal, Unavailable};
use crate::reservation_seal::ReservationSeal;

/// What a signature under a policy that counts rests on.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Proof<'a> {
    /// The transfer's reservation, as the host presents it.
    pub(crate) reservation: Option<&'a SealedReservation>,
    /// The view that the worker is a member of; none where it is of none.
    pub(crate) view: Option<&'a PoolView>,
    /// The endorsements, as the host presents them.
    pub(crate) certificate: Option<&'a Certificate>,
}

/// Whether the proof lets the wallet with this key sign the transaction `tx_hash` under the policy of this hash. What is
/// wrong for good is refused. Endorsements that are missing may come: then the job is as good later.
pub(crate) fn check(
    key: &PrivateKey,
    subject: &Subject,
    tx_hash: &str,
    policy_sha256: Sha256,
    proof: Proof<'_>,
) -> Result<(), Failure> {
    let Some(sealed) = proof.reservation else {
        let message = "the policy has a rule that counts, and nothing was reserved for the transfer";
        return Err(Refusal::new(errors::WITHHELD_MODE_REQUIRED, message).into());
    };
    let seal = ReservationSeal::of(key).map_err(Unavailable::from)?;
    let reservation = check_genuine(&seal, sealed)?;
    let is_for_this = reservation.request_id == subject.command_id
        && reservation.request_sha256 == subject.request_sha256
        && reservation.tx_hash == tx_hash
        && reservation.policy_sha256 == policy_sha256;
    if !is_for_this {
        let message = "the reservation is for another transaction, request or policy";
        return Err(Refusal::new(errors::RESERVATION_MISMATCH, message).into());
    }
    let until_ms = reservation.reserved_at_ms.saturating_add(RESERVATION_USE_MS_MAX);
    if subject.now_ms > until_ms {
        let message = format!("the reservation could be used until {until_ms}, it is {}", subject.now_ms);
        return Err(Refusal::new(errors::RESERVATION_EXPIRED, message).into());
    }
    let view = proof.view.ok_or(Unavailable::NoView)?;
    let certificate = proof.certificate.ok_or(Unavailable::NotEndorsed)?;
    if certificate.certifies(view, &reservation.wallet_name(), &reservation.head()) {
        Ok(())
    } else {
        Err(Unavailable::NotEndorsed.into())
    }
}

/// What a worker of the wallet reserved.
pub(crate) fn check_genuine<'a>(
    seal: &ReservationSeal,
    sealed: &'a SealedReservation,
) -> Result<&'a Reservation, Refusal> {
    if seal.is_genuine(sealed) {
        Ok(&sealed.reservation)
    } else {
        Err(Refusal::new(errors::RESERVATION_INVALID, "no worker of this wallet made the reservation"))
    }
}

#[cfg(test)]
mod tests;
