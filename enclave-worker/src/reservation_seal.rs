//! The seal on a wallet's reservations: HMAC-SHA-256 under a key that follows from the wallet's private key. Whoever can
//! open the wallet's key, in whatever life and view, sees that a worker of this wallet made a reservation. Nobody else can
//! make one, or tell. The wallet's key seals for one wallet of one log, so the seal says whose the reservation is, too.

use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use nsl_neo::PrivateKey;
use nsl_schemas::bytes::Base64;
use nsl_schemas::reservation::{RESERVATION_TAG, Reservation, SEAL_BYTES, SealedReservation};
use zeroize::Zeroizing;

use crate::seal;

/// What seals the reservations of one wallet.
pub(crate) struct ReservationSeal(hmac::Key);

impl ReservationSeal {
    /// The seal of the wallet whose private key this is.
    pub(crate) fn of(key: &PrivateKey) -> Result<Self, seal::Error> {
        // The private key is as random as a key can be; a salt would add nothing.
        let prk = Salt::new(HKDF_SHA256, &[]).extract(key.secret_bytes().as_slice());
        let mut derived = Zeroizing::new([0; SEAL_BYTES]);
        seal::expand(&prk, RESERVATION_TAG.as_bytes(), derived.as_mut_slice())?;
        Ok(Self(hmac::Key::new(HMAC_SHA256, derived.as_slice())))
    }

    /// Seals what a worker reserved.
    pub(crate) fn seal(&self, reservation: Reservation) -> SealedReservation {
        let seal = Base64(hmac::sign(&self.0, &reservation.signed_bytes()).as_ref().to_vec());
        SealedReservation { reservation, seal }
    }

    /// Whether a worker sealed exactly this, in constant time.
    pub(crate) fn is_genuine(&self, sealed: &SealedReservation) -> bool {
        hmac::verify(&self.0, &sealed.reservation.signed_bytes(), &sealed.seal.0).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use nsl_schemas::bytes::Sha256;
    use nsl_schemas::policy::Counters;
    use nsl_schemas::token::{AggregateId, Tenant};
    use uuid::Uuid;

    use super::*;

    fn seal(secret: u8) -> ReservationSeal {
        ReservationSeal::of(&PrivateKey::from_bytes(Zeroizing::new([secret; 32])).unwrap()).unwrap()
    }

    fn reservation() -> Reservation {
        Reservation {
            counters: Counters::default(),
            genesis_sha256: Sha256([1; 32]),
            key_version: 1,
            policy_sha256: Sha256([2; 32]),
            previous_sha256: Sha256::of(b""),
            request_id: Uuid::from_u128(7),
            request_sha256: Sha256([3; 32]),
            reserved_at_ms: 6,
            sequence: 1,
            tenant: Tenant::parse("acme").unwrap(),
            tx_hash: "0x02".to_owned(),
            wallet: AggregateId::parse("main").unwrap(),
        }
    }

    /// By RFC 5869 and RFC 2104 as Python's hmac computes them: a later build tells what an earlier one sealed.
    #[test]
    fn the_seal_is_the_documented_one() {
        let sealed = seal(7).seal(reservation());
        assert_eq!(
            hex::encode(&sealed.seal.0),
            "f8b66b57fefee0302b65f79285017ab05fdc1976b9ce303503bf3427a46619b7"
        );
    }

    #[test]
    fn only_the_wallets_key_seals_and_only_what_it_sealed_is_genuine() {
        let sealed = seal(7).seal(reservation());
        assert!(seal(7).is_genuine(&sealed));
        assert!(!seal(8).is_genuine(&sealed));
        for bytes in [0, 31, 33] {
            let mut torn = sealed.clone();
            torn.seal.0.resize(bytes, 0);
            assert!(!seal(7).is_genuine(&torn), "{bytes}");
        }
        let mut forged = sealed.clone();
        forged.seal.0[31] ^= 1;
        assert!(!seal(7).is_genuine(&forged));
        let mut altered = sealed;
        altered.reservation.sequence = 2;
        assert!(!seal(7).is_genuine(&altered));
    }
}
