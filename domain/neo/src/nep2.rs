//! NEP-2: a private key encrypted with a passphrase, as text.
//!
//! The text carries four bytes of a hash of the address, so that a wrong passphrase is noticed. Passphrases
//! are normalised (NFC) as the standard asks.

use aes::Aes256;
use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use crate::address::Base58CheckError;
use crate::base58check;
use crate::hash::sha256;
use crate::private_key::{self, PRIVATE_KEY_BYTES, PrivateKey};
use crate::public_key::PublicKey;

/// The standard's marker: type, and "encrypted without a product of primes, compressed".
const PREFIX: [u8; 3] = [0x01, 0x42, 0xE0];

const ADDRESS_HASH_BYTES: usize = 4;
const PAYLOAD_BYTES: usize = PREFIX.len() + ADDRESS_HASH_BYTES + PRIVATE_KEY_BYTES;
const AES_BLOCK_BYTES: usize = 16;

/// Longest passphrase taken. Far above what people type; it bounds normalisation of untrusted input.
pub const PASSPHRASE_BYTES_LIMIT: usize = 1024;

/// Most memory that one derivation may take: four times what the standard parameters take.
pub const SCRYPT_MEMORY_BYTES_LIMIT: u64 = 64 << 20;

/// Most work (n × r × p) of one derivation: four times the standard parameters, some seconds. A wallet file
/// names its parameters, so an unbounded number would let a file stop its reader.
pub const SCRYPT_WORK_LIMIT: u64 = 4 * 16_384 * 8 * 8;

/// Why a key is not encrypted or decrypted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text is not Base58Check of 39 bytes.
    #[error("not an encrypted key")]
    Encoding(#[source] Base58CheckError),
    /// The text is of another kind.
    #[error("the encrypted key does not begin with the marker of NEP-2")]
    Prefix,
    /// The passphrase is too long.
    #[error("a passphrase has at most 1024 bytes, not {0}")]
    PassphraseTooLong(usize),
    /// The parameters are outside the limits.
    #[error("scrypt parameters n={n}, r={r}, p={p} are invalid or cost too much")]
    ScryptParameters {
        /// Cost.
        n: u32,
        /// Block size.
        r: u32,
        /// Parallelism.
        p: u32,
    },
    /// The decrypted key has another address: the passphrase is wrong.
    #[error("wrong passphrase")]
    WrongPassphrase,
}

/// Cost parameters of the key derivation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScryptParameters {
    /// Cost; a power of two.
    pub n: u32,
    /// Block size.
    pub r: u32,
    /// Parallelism.
    pub p: u32,
}

impl ScryptParameters {
    /// The standard's parameters: about half a second.
    pub const STANDARD: Self = Self { n: 16_384, r: 8, p: 8 };

    /// Hardly any protection: for keys of private networks that everybody knows anyway.
    pub const WEAK: Self = Self { n: 2, r: 1, p: 1 };

    fn validated(self) -> Result<scrypt::Params, Error> {
        let Self { n, r, p } = self;
        let invalid = Error::ScryptParameters { n, r, p };
        let (n_wide, r_wide, p_wide) = (u64::from(n), u64::from(r), u64::from(p));
        let memory_bytes = 128_u64.saturating_mul(n_wide).saturating_mul(r_wide);
        let work = n_wide.saturating_mul(r_wide).saturating_mul(p_wide);
        if !n.is_power_of_two()
            || n < 2
            || memory_bytes > SCRYPT_MEMORY_BYTES_LIMIT
            || work > SCRYPT_WORK_LIMIT
        {
            return Err(invalid);
        }
        let log_n = u8::try_from(n.trailing_zeros()).map_err(|_| Error::ScryptParameters { n, r, p })?;
        scrypt::Params::new(log_n, r, p).map_err(|_| invalid)
    }
}

/// Encrypts a key with a passphrase.
pub fn encrypt(key: &PrivateKey, passphrase: &str, parameters: ScryptParameters) -> Result<String, Error> {
    let address_hash = address_hash(&key.public_key());
    let derived = DerivedKey::new(passphrase, address_hash, parameters)?;
    let mut block = derived.masked(key.secret_bytes());
    for half in block.as_chunks_mut::<AES_BLOCK_BYTES>().0 {
        derived.cipher.encrypt_block(half.into());
    }
    let mut payload = Vec::with_capacity(PAYLOAD_BYTES);
    payload.extend(PREFIX);
    payload.extend(address_hash);
    payload.extend_from_slice(block.as_slice());
    Ok(base58check::encode(&payload).to_string())
}

/// Decrypts a key with its passphrase.
pub fn decrypt(text: &str, passphrase: &str, parameters: ScryptParameters) -> Result<PrivateKey, Error> {
    let payload = base58check::decode::<PAYLOAD_BYTES>(text).map_err(Error::Encoding)?;
    let (prefix, rest) = payload.split_first_chunk().ok_or(Error::Prefix)?;
    let (address_hash, encrypted) = rest.split_first_chunk().ok_or(Error::Prefix)?;
    let encrypted = <[u8; PRIVATE_KEY_BYTES]>::try_from(encrypted).map_err(|_| Error::Prefix)?;
    if *prefix != PREFIX {
        return Err(Error::Prefix);
    }
    let derived = DerivedKey::new(passphrase, *address_hash, parameters)?;
    let mut block = Zeroizing::new(encrypted);
    for half in block.as_chunks_mut::<AES_BLOCK_BYTES>().0 {
        derived.cipher.decrypt_block(half.into());
    }
    // A wrong passphrase gives random bytes, which may even be no key at all.
    let key = PrivateKey::from_bytes(derived.masked(&block))
        .map_err(|_: private_key::Error| Error::WrongPassphrase)?;
    if self::address_hash(&key.public_key()) == *address_hash { Ok(key) } else { Err(Error::WrongPassphrase) }
}

/// What the passphrase yields: a mask over the key and the cipher that hides both.
struct DerivedKey {
    mask: Zeroizing<[u8; PRIVATE_KEY_BYTES]>,
    cipher: Aes256,
}

impl DerivedKey {
    fn new(
        passphrase: &str,
        salt: [u8; ADDRESS_HASH_BYTES],
        parameters: ScryptParameters,
    ) -> Result<Self, Error> {
        if passphrase.len() > PASSPHRASE_BYTES_LIMIT {
            return Err(Error::PassphraseTooLong(passphrase.len()));
        }
        let ScryptParameters { n, r, p } = parameters;
        let params = parameters.validated()?;
        let normalised = Zeroizing::new(passphrase.nfc().collect::<String>());
        let mut derived = Zeroizing::new([[0_u8; 32]; 2]);
        scrypt::scrypt(normalised.as_bytes(), &salt, &params, derived.as_flattened_mut())
            .map_err(|_| Error::ScryptParameters { n, r, p })?;
        let [mask, key] = &*derived;
        Ok(Self { mask: Zeroizing::new(*mask), cipher: Aes256::new(key.into()) })
    }

    fn masked(&self, bytes: &[u8; PRIVATE_KEY_BYTES]) -> Zeroizing<[u8; PRIVATE_KEY_BYTES]> {
        let mut out = Zeroizing::new(*bytes);
        for (byte, mask) in out.iter_mut().zip(self.mask.iter()) {
            *byte ^= mask;
        }
        out
    }
}

fn address_hash(key: &PublicKey) -> [u8; ADDRESS_HASH_BYTES] {
    let [a, b, c, d, ..] = sha256(&sha256(key.address().to_string().as_bytes()));
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_keys::{self, VECTORS};
    use proptest::prelude::*;

    #[test]
    fn published_keys_encrypt_and_decrypt() {
        for vector in VECTORS {
            let key = decrypt(vector.nep2, vector.passphrase, ScryptParameters::STANDARD).unwrap();
            assert_eq!(key.public_key().to_string(), vector.public_key);
        }
        let [vector, ..] = VECTORS;
        let key = crate::wif::decode(vector.wif).unwrap();
        assert_eq!(encrypt(&key, vector.passphrase, ScryptParameters::STANDARD).unwrap(), vector.nep2);
    }

    #[test]
    fn the_consensus_key_of_private_networks_has_its_published_text() {
        let text = "6PYM8VdX3hY4B51UJxmm8D41RQMbpJT8aYHibyQ67gjkUPmvQgu51Y5UQR";
        let key = test_keys::consensus();
        assert_eq!(encrypt(&key, "one", ScryptParameters::WEAK).unwrap(), text);
        assert_eq!(decrypt(text, "one", ScryptParameters::WEAK).unwrap().public_key(), key.public_key());
        for passphrase in ["two", "one ", ""] {
            let result = decrypt(text, passphrase, ScryptParameters::WEAK);
            assert!(matches!(result, Err(Error::WrongPassphrase)), "{passphrase}");
        }
    }

    #[test]
    fn equal_letters_are_equal_passphrases() {
        let key = test_keys::consensus();
        let composed = encrypt(&key, "\u{e9}", ScryptParameters::WEAK).unwrap();
        assert_eq!(encrypt(&key, "e\u{301}", ScryptParameters::WEAK).unwrap(), composed);
    }

    #[test]
    fn parameters_and_passphrases_outside_the_limits_are_refused() {
        let key = test_keys::consensus();
        for (n, r, p) in [
            (0, 8, 8),
            (1, 8, 8),
            (3, 1, 1),
            (16_384, 0, 8),
            (16_384, 8, 0),
            (16_384, 8, 33),
            (1 << 31, 1, 1),
            (2, u32::MAX, u32::MAX),
        ] {
            let result = encrypt(&key, "one", ScryptParameters { n, r, p });
            assert!(matches!(result, Err(Error::ScryptParameters { .. })), "{n} {r} {p}");
        }
        let long = "x".repeat(PASSPHRASE_BYTES_LIMIT + 1);
        let result = encrypt(&key, &long, ScryptParameters::WEAK);
        assert!(matches!(result, Err(Error::PassphraseTooLong(1025))));
    }

    #[test]
    fn other_text_is_refused() {
        let other_marker = base58check::encode(&[0x01; PAYLOAD_BYTES]);
        assert!(matches!(decrypt(&other_marker, "one", ScryptParameters::WEAK), Err(Error::Prefix)));
        let address = "NfVdwyaJbijrWkRagrvs4eSRQUpP7WpukT";
        assert!(matches!(decrypt(address, "one", ScryptParameters::WEAK), Err(Error::Encoding(_))));
    }

    proptest! {
        #[test]
        fn any_passphrase_opens_what_it_closed(passphrase in ".{0,40}", number in 1_u8..) {
            let key = test_keys::key(number);
            let text = encrypt(&key, &passphrase, ScryptParameters::WEAK).unwrap();
            let opened = decrypt(&text, &passphrase, ScryptParameters::WEAK).unwrap();
            prop_assert_eq!(opened.public_key(), key.public_key());
        }
    }
}
