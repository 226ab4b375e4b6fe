//! Reservations: before a worker signs under a policy that counts, it reserves (D10). Each reservation of a wallet names
//! the one before it by hash and carries the counters that it leads to, so whoever holds the last one knows all that was
//! ever taken.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::bytes::{Base64, Sha256};
use crate::envelope::statement_bytes;
use crate::policy::Counters;
use crate::token::{AggregateId, Tenant};

/// What the hashed and sealed bytes of a [`Reservation`] begin with.
pub const RESERVATION_TAG: &str = "nsl-reservation-v1";
/// How long after it was made a reservation may be signed for. It counts in the window of the time that it was made at, so
/// reservations that were kept could all be used at once, in one later window: this bounds how far. An hour is as long as
/// a transfer waits for its signature by default, and as a quoted one is valid.
pub const RESERVATION_USE_MS_MAX: u64 = 60 * 60 * 1_000;
/// Bytes of a seal.
pub const SEAL_BYTES: usize = 32;

/// One transaction's share of what a wallet's policy allows. It stays taken whether or not it is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Reservation {
    /// What is counted with this one.
    pub counters: Counters,
    /// The log.
    pub genesis_sha256: Sha256,
    /// The version of the wallet's key that was presented. It never falls along the chain: once something was reserved
    /// under a policy, nothing is reserved under an earlier one.
    pub key_version: u32,
    /// The policy that allowed it.
    pub policy_sha256: Sha256,
    /// [`Self::sha256`] of the reservation before it; of the empty string before the first.
    pub previous_sha256: Sha256,
    /// The transfer's command id.
    pub request_id: Uuid,
    /// The request hash of the transfer's command.
    pub request_sha256: Sha256,
    /// When, by the worker's NSM, Unix ms.
    #[serde(deserialize_with = "crate::number::below_2_pow_53")]
    pub reserved_at_ms: u64,
    /// Counts the wallet's reservations, from 1.
    pub sequence: u32,
    /// Whose wallet.
    pub tenant: Tenant,
    /// The only transaction that it is for, as the chain shows it, `0x…`.
    pub tx_hash: String,
    /// Which wallet.
    pub wallet: AggregateId,
}

impl Reservation {
    /// The bytes that are hashed and sealed.
    pub fn signed_bytes(&self) -> Vec<u8> {
        statement_bytes(RESERVATION_TAG, self)
    }

    /// What the next reservation and endorsements name it by.
    pub fn sha256(&self) -> Sha256 {
        Sha256::of(&self.signed_bytes())
    }

    /// The wallet's head with this reservation as its last.
    pub fn head(&self) -> Head {
        Head { sequence: self.sequence, sha256: self.sha256() }
    }

    /// Whether it is the next one after `head`.
    pub fn follows(&self, head: &Head) -> bool {
        head.sequence.checked_add(1) == Some(self.sequence) && self.previous_sha256 == head.sha256
    }

    /// Whose it is.
    pub fn wallet_name(&self) -> WalletName {
        WalletName { tenant: self.tenant.clone(), wallet: self.wallet.clone() }
    }
}

/// A reservation with the proof that a worker made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SealedReservation {
    /// What is reserved.
    pub reservation: Reservation,
    /// HMAC-SHA-256 over [`Reservation::signed_bytes`], [`SEAL_BYTES`]. Its key follows from the wallet's private key, so
    /// whatever worker can open that, in whatever life, can tell; a host cannot make one.
    pub seal: Base64,
}

/// A wallet among all tenants'.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WalletName {
    /// Whose wallet.
    pub tenant: Tenant,
    /// Which wallet.
    pub wallet: AggregateId,
}

/// The last reservation of a wallet, by sequence and hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Head {
    /// Its sequence; 0 before the first.
    pub sequence: u32,
    /// Its hash; of the empty string before the first.
    pub sha256: Sha256,
}

impl Head {
    /// The head of a wallet that never reserved.
    pub fn before_first() -> Self {
        Self { sequence: 0, sha256: Sha256::of(b"") }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::canonical;
    use crate::number::{Amount, UnixMs};
    use crate::policy::{AssetWindow, Window};

    fn reservation() -> Reservation {
        let window = Window { buckets: [(UnixMs(5), Amount(3))].into(), window_seconds: 60 };
        Reservation {
            counters: Counters {
                amounts: vec![AssetWindow { asset: "0x01".to_owned(), window }],
                last_ms: UnixMs(6),
                signatures: None,
                signatures_in_all: 1,
            },
            genesis_sha256: Sha256([1; 32]),
            key_version: 1,
            policy_sha256: Sha256([2; 32]),
            previous_sha256: Sha256::of(b""),
            request_id: Uuid::from_u128(7),
            request_sha256: Sha256([3; 32]),
            reserved_at_ms: 6,
            sequence: 1,
            tenant: "acme".parse().unwrap(),
            tx_hash: "0x02".to_owned(),
            wallet: "main".parse().unwrap(),
        }
    }

    #[test]
    fn the_signed_bytes_are_the_documented_ones() {
        let bytes = reservation().signed_bytes();
        let json = canonical::to_string(&reservation());
        assert_eq!(json, serde_json::to_string(&reservation()).unwrap(), "members are declared in order");
        assert_eq!(bytes, [b"\xFF\0\0\0\x12nsl-reservation-v1", json.as_bytes()].concat());
        assert_eq!(serde_json::from_str::<Reservation>(&json).unwrap(), reservation());
    }

    #[test]
    fn a_chain_begins_at_nothing_and_goes_on_one_by_one() {
        let first = reservation();
        assert!(first.follows(&Head::before_first()));
        assert!(!first.follows(&first.head()));
        let second = Reservation { sequence: 2, previous_sha256: first.sha256(), ..reservation() };
        assert!(second.follows(&first.head()));
        assert!(!second.follows(&Head::before_first()));
        let skipped = Reservation { sequence: 3, ..second.clone() };
        assert!(!skipped.follows(&first.head()));
        let elsewhere = Reservation { previous_sha256: Sha256([0; 32]), ..second };
        assert!(!elsewhere.follows(&first.head()));
        let end = Head { sequence: u32::MAX, sha256: first.sha256() };
        assert!(!Reservation { sequence: 0, previous_sha256: first.sha256(), ..first }.follows(&end));
    }

    proptest! {
        /// Whatever is changed is another reservation.
        #[test]
        fn every_member_is_in_the_hash(member in 0_usize..12, bits: u32) {
            let mut other = reservation();
            let text = format!("{}{bits}", other.tx_hash);
            match member {
                0 => other.counters.signatures_in_all ^= bits,
                1 => other.genesis_sha256.0[0] ^= bits.to_le_bytes()[0],
                2 => other.policy_sha256.0[31] ^= bits.to_le_bytes()[0],
                3 => other.previous_sha256.0[7] ^= bits.to_le_bytes()[0],
                4 => other.request_id = Uuid::from_u128(u128::from(bits)),
                5 => other.request_sha256.0[0] ^= bits.to_le_bytes()[0],
                6 => other.reserved_at_ms ^= u64::from(bits),
                7 => other.sequence ^= bits,
                8 => other.tenant = format!("t{bits}").parse().unwrap(),
                9 => other.tx_hash = text,
                10 => other.key_version ^= bits,
                _ => other.wallet = format!("w{bits}").parse().unwrap(),
            }
            prop_assert_eq!(other == reservation(), other.sha256() == reservation().sha256());
        }
    }
}
