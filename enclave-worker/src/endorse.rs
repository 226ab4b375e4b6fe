//! `endorse`: what a worker of the wallet's pool reserved is put to this worker's memory. That a worker reserved it, its
//! seal proves to whoever can open the wallet's key.

use nsl_schemas::bytes::Sha256;
use nsl_schemas::outcome::SealedKeyBinding;
use nsl_schemas::reservation::SealedReservation;

use crate::judge::PresentedState;
use crate::refusal::{Failure, Unavailable};
use crate::reservation_seal::ReservationSeal;
use crate::sealing::Keyring;
use crate::{wallet_key, withheld_mode};

/// Whether a worker sealed the reservation with the key of the wallet that it names, under whatever policy that is now.
pub(crate) fn check_seal(
    keyring: &Keyring,
    genesis_sha256: Sha256,
    sealed: &SealedReservation,
    state: &PresentedState,
) -> Result<(), Failure> {
    let binding = SealedKeyBinding {
        genesis_sha256,
        tenant: &sealed.reservation.tenant,
        wallet: &sealed.reservation.wallet,
        version: state.sealed_key.version,
        policy_sha256: state.policy.sha256(),
    };
    let key = wallet_key::open_as(keyring, &state.sealed_key, &binding)?;
    let seal = ReservationSeal::of(&key).map_err(Unavailable::Seal)?;
    withheld_mode::check_genuine(&seal, sealed)?;
    Ok(())
}
