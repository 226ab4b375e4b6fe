//! `reserve-transfer`: under a policy that counts, what a transfer takes is reserved first. The worker judges all that a
//! signature would be judged by, counts on from the wallet's last reservation, and seals the next one.
//!
//! A host may present another reservation as the last, or none. That makes a reservation of a chain which is not the log's,
//! and no majority endorses it: nothing is ever signed for it. Nor does an older key with its older policy help, once
//! something was reserved with a newer one.

use nsl_policy::{Denied, Spend, TransferFacts, reserve, transaction};
use nsl_schemas::authority::Signed;
use nsl_schemas::command::wallet::RequestTransfer;
use nsl_schemas::errors;
use nsl_schemas::outcome::JobResult;
use nsl_schemas::policy::{Counters, TransferApproval};
use nsl_schemas::reservation::{Head, Reservation, SealedReservation};

use crate::judge::{PresentedState, Subject};
use crate::refusal::{Failure, Refusal, Unavailable};
use crate::reservation_seal::ReservationSeal;
use crate::sealing::Keyring;
use crate::sign_transfer::check_policy;
use crate::{wallet_key, withheld_mode};

/// Reserves for a transfer after `last`, the wallet's last reservation.
pub(crate) fn reserve_transfer(
    keyring: &Keyring,
    subject: &Subject,
    transfer: &RequestTransfer,
    approvals: &[Signed<TransferApproval>],
    last: Option<&SealedReservation>,
    state: &PresentedState,
) -> Result<JobResult, Failure> {
    let key = wallet_key::open(keyring, subject, state)?;
    check_policy(subject, transfer, approvals, &state.policy)?;
    let unsigned = transaction::transfer(subject.command_id, &key.public_key(), transfer)
        .map_err(|error| Refusal::new(errors::WORKER_COMMAND_INVALID, error.to_string()))?;
    let seal = ReservationSeal::of(&key).map_err(Unavailable::from)?;
    let last = last.map(|last| withheld_mode::check_genuine(&seal, last)).transpose()?;
    let (head, nothing) = (last.map_or_else(Head::before_first, Reservation::head), Counters::default());
    let key_version = state.sealed_key.version;
    if last.is_some_and(|last| last.key_version > key_version) {
        let message = "the wallet reserved with a later version of its key already";
        return Err(Refusal::new(errors::WORKER_STATE_INVALID, message).into());
    }
    let sequence = head.sequence.checked_add(1).ok_or_else(|| {
        Refusal::new(errors::WORKER_STATE_INVALID, "the wallet reserved as often as sequences can count")
    })?;
    let facts = TransferFacts::new(transfer, subject.issued_at_ms);
    let before = last.map_or(&nothing, |last| &last.counters);
    // The rule that counts is named to the client: unlike the others it may allow the same transfer later.
    let denied = |denied: Denied| Refusal::new(denied.code(), denied.to_string());
    let counters = reserve(&state.policy, before, &Spend::from(&facts), subject.now_ms).map_err(denied)?;
    let reservation = seal.seal(Reservation {
        counters,
        genesis_sha256: subject.genesis_sha256,
        key_version,
        policy_sha256: state.policy.sha256(),
        previous_sha256: head.sha256,
        request_id: subject.command_id,
        request_sha256: subject.request_sha256,
        reserved_at_ms: subject.now_ms,
        sequence,
        tenant: subject.tenant.clone(),
        tx_hash: unsigned.hash().to_string(),
        wallet: subject.wallet.clone(),
    });
    Ok(JobResult::TransferReserved { reservation })
}
