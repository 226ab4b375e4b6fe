//! Private keys on P-256: signing and the derived public key.
//!
//! The secret is wiped on drop, cannot be cloned and is never printed. Randomness for a new key is the
//! caller's.

use std::fmt;

use aws_lc_rs::agreement;
use aws_lc_rs::error::{KeyRejected, Unspecified};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use zeroize::Zeroizing;

use crate::public_key::{self, PublicKey};
use crate::signature::Signature;

/// Bytes of a private key.
pub const PRIVATE_KEY_BYTES: usize = 32;

/// Why a private key is refused or does not sign.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The number is zero or not below the order of the curve; for random bytes: draw again.
    #[error("the private key is not between 1 and the order of P-256")]
    OutOfRange(#[source] KeyRejected),
    /// The public key could not be computed.
    #[error("the public key could not be computed")]
    PublicKey(#[source] Unspecified),
    /// The computed public key is not a valid point.
    #[error("the computed public key is invalid")]
    InvalidPublicKey(#[source] public_key::Error),
    /// The signing operation failed.
    #[error("signing failed")]
    Sign(#[source] Unspecified),
    /// The signature has another size than r and s.
    #[error("the signature is not 64 bytes")]
    SignatureLength,
}

/// A private key with its public key.
pub struct PrivateKey {
    secret: Zeroizing<[u8; PRIVATE_KEY_BYTES]>,
    key_pair: EcdsaKeyPair,
    public_key: PublicKey,
}

impl PrivateKey {
    /// Takes the secret number, big endian. Fresh random bytes make a new key.
    pub fn from_bytes(secret: Zeroizing<[u8; PRIVATE_KEY_BYTES]>) -> Result<Self, Error> {
        let exchange_key = agreement::PrivateKey::from_private_key(&agreement::ECDH_P256, secret.as_slice())
            .map_err(Error::OutOfRange)?;
        let point = exchange_key.compute_public_key().map_err(Error::PublicKey)?;
        let public_key = PublicKey::from_computed(point.as_ref()).map_err(Error::InvalidPublicKey)?;
        let key_pair = EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            secret.as_slice(),
            point.as_ref(),
        )
        .map_err(Error::OutOfRange)?;
        Ok(Self { secret, key_pair, public_key })
    }

    /// The secret number, for sealing and wallet files only.
    pub fn secret_bytes(&self) -> &Zeroizing<[u8; PRIVATE_KEY_BYTES]> {
        &self.secret
    }

    /// The public key.
    pub const fn public_key(&self) -> PublicKey {
        self.public_key
    }

    /// Signs the SHA-256 of `message`. Two calls give two different signatures; both are valid.
    pub fn sign(&self, message: &[u8]) -> Result<Signature, Error> {
        let signature = self.key_pair.sign(&SystemRandom::new(), message).map_err(Error::Sign)?;
        let bytes = signature.as_ref().try_into().map_err(|_| Error::SignatureLength)?;
        Ok(Signature::from_bytes(bytes))
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PrivateKey").field("public_key", &self.public_key).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_keys;

    const ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    const ORDER_MINUS_ONE: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632550";

    fn from_hex(text: &str) -> Result<PrivateKey, Error> {
        let mut secret = Zeroizing::new([0; PRIVATE_KEY_BYTES]);
        hex::decode_to_slice(text, secret.as_mut_slice()).unwrap();
        PrivateKey::from_bytes(secret)
    }

    #[test]
    fn numbers_outside_the_curve_order_are_refused() {
        for text in [&"00".repeat(32), ORDER, &"ff".repeat(32)] {
            assert!(matches!(from_hex(text), Err(Error::OutOfRange(_))), "{text}");
        }
        assert!(from_hex(ORDER_MINUS_ONE).is_ok());
        assert!(from_hex(&format!("{:064x}", 1)).is_ok());
    }

    #[test]
    fn a_signature_verifies_and_only_for_its_message_and_key() {
        let key = test_keys::consensus();
        let signature = key.sign(b"message").unwrap();
        assert_eq!(key.public_key().verify(b"message", &signature), Ok(()));
        assert!(key.public_key().verify(b"messagf", &signature).is_err());
        assert!(test_keys::key(7).public_key().verify(b"message", &signature).is_err());
        let mut changed = *signature.as_bytes();
        changed[40] ^= 1;
        assert!(key.public_key().verify(b"message", &Signature::from_bytes(changed)).is_err());
    }

    #[test]
    fn debug_output_shows_no_secret() {
        let key = test_keys::consensus();
        let shown = format!("{key:?}");
        assert!(shown.contains(&key.public_key().to_string()));
        assert!(!shown.contains(&hex::encode(key.secret_bytes().as_slice())));
    }
}
