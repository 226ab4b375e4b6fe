//! Accounts that keys control: single-signature and m-of-n multi-signature.
//!
//! An account is a verification script; its hash is the account's identity, its size and signature checks are
//! what a witness costs.

use crate::address::Address;
use crate::hash::Hash160;
use crate::public_key::PublicKey;
use crate::script;
use crate::signature::Signature;
use crate::witness::{WITNESS_SCRIPT_BYTES_LIMIT, Witness};

/// Bytes that one signature takes in an invocation script: PUSHDATA1, length, 64 bytes.
const SIGNATURE_PUSH_BYTES: usize = 66;

/// Most signatures of a usable account: more do not fit into an invocation script.
pub const MULTISIG_THRESHOLD_LIMIT: usize = WITNESS_SCRIPT_BYTES_LIMIT / SIGNATURE_PUSH_BYTES;

/// Most keys of a usable account. The protocol allows 1024, but 30 keys take 1058 of the 1024 bytes that a
/// witness may have, and whatever is sent to such an account is lost.
pub const MULTISIG_KEYS_LIMIT: usize = 29;

/// Why an account or its witness is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There are no keys, or more than fit into a witness.
    #[error("a multi-signature account has 1 to 29 keys, not {0}")]
    KeyCount(usize),
    /// The threshold cannot be met, or its signatures do not fit into a witness.
    #[error("a threshold of {threshold} does not fit {keys} keys (at most 15 signatures)")]
    Threshold {
        /// Signatures wanted.
        threshold: usize,
        /// Keys there are.
        keys: usize,
    },
    /// Two keys are equal, or are the two points of one x coordinate, which one person controls.
    #[error("two keys of the account share their x coordinate")]
    DuplicateKey,
    /// A signature is by a key outside the account.
    #[error("{0} is no key of the account")]
    ForeignKey(PublicKey),
    /// One key signed twice.
    #[error("{0} signed twice")]
    RepeatedSignature(PublicKey),
    /// There are fewer or more signatures than the account wants.
    #[error("{wanted} signatures wanted, {found} found")]
    SignatureCount {
        /// The account's threshold.
        wanted: usize,
        /// Signatures given.
        found: usize,
    },
}

/// An m-of-n account; its keys are sorted as the chain sorts them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Multisig {
    threshold: usize,
    keys: Vec<PublicKey>,
}

impl Multisig {
    /// An account that needs `threshold` signatures of `keys`, in any order.
    pub fn new(threshold: usize, mut keys: Vec<PublicKey>) -> Result<Self, Error> {
        if keys.is_empty() || keys.len() > MULTISIG_KEYS_LIMIT {
            return Err(Error::KeyCount(keys.len()));
        }
        if threshold == 0 || threshold > keys.len().min(MULTISIG_THRESHOLD_LIMIT) {
            return Err(Error::Threshold { threshold, keys: keys.len() });
        }
        // The chain sorts by x, then y; equal x is refused, so y never decides.
        keys.sort_by(|left, right| left.x_coordinate().cmp(right.x_coordinate()));
        let x_coordinates = keys.iter().map(PublicKey::x_coordinate);
        if x_coordinates.clone().zip(x_coordinates.skip(1)).any(|(left, right)| left == right) {
            return Err(Error::DuplicateKey);
        }
        Ok(Self { threshold, keys })
    }

    /// Signatures that the account needs.
    pub const fn threshold(&self) -> usize {
        self.threshold
    }

    /// The account's keys in script order.
    pub fn keys(&self) -> &[PublicKey] {
        &self.keys
    }

    /// The witness of exactly `threshold` signatures, given in any order.
    pub fn witness(&self, signatures: &[(PublicKey, Signature)]) -> Result<Witness, Error> {
        if signatures.len() != self.threshold {
            return Err(Error::SignatureCount { wanted: self.threshold, found: signatures.len() });
        }
        let mut in_key_order = Vec::with_capacity(signatures.len());
        for (key, signature) in signatures {
            let index = self.keys.iter().position(|own| own == key).ok_or(Error::ForeignKey(*key))?;
            if in_key_order.iter().any(|(taken, _)| *taken == index) {
                return Err(Error::RepeatedSignature(*key));
            }
            in_key_order.push((index, signature));
        }
        in_key_order.sort_by_key(|(index, _)| *index);
        let invocation =
            script::signatures_invocation(in_key_order.into_iter().map(|(_, signature)| signature));
        Ok(Witness { invocation, verification: script::multisig_verification(self.threshold, &self.keys) })
    }
}

/// An account that signatures of known keys control.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Account {
    /// One key, one signature.
    SingleSignature(PublicKey),
    /// Several keys, a threshold of signatures.
    Multisig(Multisig),
}

impl Account {
    /// The verification script.
    pub fn verification_script(&self) -> Vec<u8> {
        match self {
            Self::SingleSignature(key) => script::single_signature_verification(key),
            Self::Multisig(account) => script::multisig_verification(account.threshold, &account.keys),
        }
    }

    /// The account's identity on the chain.
    pub fn script_hash(&self) -> Hash160 {
        Hash160::of_script(&self.verification_script())
    }

    /// The account's address.
    pub fn address(&self) -> Address {
        self.script_hash().into()
    }

    /// Signatures that a witness of this account holds.
    pub const fn signature_count(&self) -> usize {
        match self {
            Self::SingleSignature(_) => 1,
            Self::Multisig(account) => account.threshold,
        }
    }

    /// Bytes of the invocation script of a complete witness.
    pub const fn invocation_bytes(&self) -> usize {
        SIGNATURE_PUSH_BYTES * self.signature_count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_keys;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    /// The four keys of neo-go's four-node test network.
    const COMMITTEE: [&str; 4] = [
        "02b3622bf4017bdfe317c58aed5f4c753f206b7db896046fa7d774bbc4bf7f8dc2",
        "02103a7f7dd016558597f7960d27c516a4394fd968b9e65155eb4b013e4040406e",
        "03d90c07df63e690ce77912e10ab51acc944b66860237b608c4f8f8309e71ee699",
        "02a7bc55fe8684e0119768d104ba30795bdcc86619e864add26156723ed185cd62",
    ];

    fn committee() -> Vec<PublicKey> {
        COMMITTEE.iter().map(|key| key.parse().unwrap()).collect()
    }

    #[test]
    fn the_four_node_network_has_its_published_address_and_script() {
        let account = Account::Multisig(Multisig::new(3, committee()).unwrap());
        assert_eq!(account.address().to_string(), "NVTiAjNgagDkTr5HTzDmQP9kPwPHN5BgVq");
        assert_eq!(
            STANDARD.encode(account.verification_script()),
            "EwwhAhA6f33QFlWFl/eWDSfFFqQ5T9loueZRVetLAT5AQEBuDCECp7xV/oaE4BGXaNEEujB5W9zIZhnoZK3SYVZyPtGFzWIMIQKzYiv0\
             AXvf4xfFiu1fTHU/IGt9uJYEb6fXdLvEv3+NwgwhA9kMB99j5pDOd5EuEKtRrMlEtmhgI3tgjE+PgwnnHuaZFEGe0Nw6"
        );
    }

    #[test]
    fn the_consensus_key_has_its_published_addresses() {
        let key = test_keys::consensus().public_key();
        assert_eq!(key.address().to_string(), "Nhfg3TbpwogLvDGVvAvqyThbsHgoSUKwtn");
        let account = Account::Multisig(Multisig::new(1, vec![key]).unwrap());
        assert_eq!(account.address().to_string(), "NfgHwwTi3wHAS8aFAN243C5vGbkYDpqLHP");
    }

    #[test]
    fn thresholds_and_key_counts_outside_the_limits_are_refused() {
        let keys =
            |count: u8| (1..=count).map(|number| test_keys::key(number).public_key()).collect::<Vec<_>>();
        assert_eq!(Multisig::new(1, vec![]), Err(Error::KeyCount(0)));
        assert_eq!(Multisig::new(1, keys(30)), Err(Error::KeyCount(30)));
        assert_eq!(Multisig::new(0, keys(2)), Err(Error::Threshold { threshold: 0, keys: 2 }));
        assert_eq!(Multisig::new(3, keys(2)), Err(Error::Threshold { threshold: 3, keys: 2 }));
        assert_eq!(Multisig::new(16, keys(29)), Err(Error::Threshold { threshold: 16, keys: 29 }));
        let largest = Account::Multisig(Multisig::new(15, keys(29)).unwrap());
        assert!(largest.verification_script().len() <= WITNESS_SCRIPT_BYTES_LIMIT);
        assert!(largest.invocation_bytes() <= WITNESS_SCRIPT_BYTES_LIMIT);
    }

    #[test]
    fn a_key_and_its_negation_are_one_key() {
        let key = test_keys::consensus().public_key();
        let mut negated = *key.as_bytes();
        negated[0] ^= 1;
        let negated = PublicKey::from_bytes(&negated).unwrap();
        assert_eq!(Multisig::new(1, vec![key, negated]), Err(Error::DuplicateKey));
        assert_eq!(Multisig::new(1, vec![key, key]), Err(Error::DuplicateKey));
    }

    #[test]
    fn a_witness_orders_signatures_by_key() {
        let account = Multisig::new(2, committee()).unwrap();
        let [first, second, ..] = account.keys() else { panic!("four keys") };
        let (one, two) = (Signature::from_bytes([1; 64]), Signature::from_bytes([2; 64]));
        let witness = account.witness(&[(*second, two), (*first, one)]).unwrap();
        assert_eq!(
            hex::encode(&witness.invocation),
            format!("0c40{}0c40{}", "01".repeat(64), "02".repeat(64))
        );
        assert_eq!(account.witness(&[(*first, one)]), Err(Error::SignatureCount { wanted: 2, found: 1 }));
        assert_eq!(account.witness(&[(*first, one), (*first, two)]), Err(Error::RepeatedSignature(*first)));
        let foreign = test_keys::key(5).public_key();
        assert_eq!(account.witness(&[(*first, one), (foreign, two)]), Err(Error::ForeignKey(foreign)));
    }
}
