//! Sealed secrets, and the key that clients encrypt secrets to. Both follow from the sealing key by labels of their own, so
//! that every worker of the pool has them, and what is sealed as a secret never opens as a wallet's key.

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce};
use aws_lc_rs::hkdf::Prk;
use nsl_schemas::bytes::Base64;
use nsl_schemas::outcome::SealedKey;
use nsl_schemas::secret::{SecretBinding, is_padded_length};
use nsl_verify::hpke;
use zeroize::Zeroizing;

use super::{Error, NONCE_BYTES, OpenError, SealingKey, cipher, encrypt, expand};
use crate::locked::LockedBytes;

/// Derives the key that seals secrets.
const INFO_KEY: &[u8] = b"nsl-secret-sealing-key-v1";
/// Derives the private key that secrets are encrypted to.
const INFO_POOL_KEY: &[u8] = b"nsl-secret-pool-key-v1";
/// Bytes of either.
const KEY_BYTES: usize = 32;

/// The two keys, on one page: pages of locked memory are few.
pub(super) struct SecretKeys(LockedBytes);

impl SecretKeys {
    pub(super) fn derive(prk: &Prk) -> Result<Self, Error> {
        let mut keys = LockedBytes::zeroed(2 * KEY_BYTES)?;
        let (sealing, pool) = keys.split_at_mut_checked(KEY_BYTES).ok_or(Error::Derive)?;
        expand(prk, INFO_KEY, sealing)?;
        expand(prk, INFO_POOL_KEY, pool)?;
        Ok(Self(keys))
    }

    /// The key that seals, and the private key of the pool.
    fn parts(&self) -> Result<(&[u8], &[u8; KEY_BYTES]), Error> {
        let (sealing, pool) = self.0.split_last_chunk().ok_or(Error::Derive)?;
        Ok((sealing, pool))
    }
}

impl SealingKey {
    /// The key that clients encrypt secrets to. Made for each use: between them it is on its locked page alone.
    pub(crate) fn pool_key(&self) -> Result<hpke::PrivateKey, Error> {
        let (_, pool) = self.secrets.parts()?;
        hpke::PrivateKey::from_secret(Zeroizing::new(*pool)).map_err(|_| Error::Derive)
    }

    /// Seals a padded secret for what `binding` says. The nonce is random, as those of keys are.
    pub(crate) fn seal_secret(
        &self,
        padded: &[u8],
        nonce: [u8; NONCE_BYTES],
        binding: &SecretBinding<'_>,
    ) -> Result<SealedKey, Error> {
        let (sealing, _) = self.secrets.parts()?;
        let cipher = cipher(sealing).ok_or(Error::Seal)?;
        let sealed = encrypt(&cipher, padded, nonce, Aad::from(binding.to_bytes()))?;
        Ok(SealedKey {
            sealing_key_id: self.id.clone(),
            version: binding.version,
            nonce: Base64(nonce.to_vec()),
            ciphertext: Base64(sealed),
        })
    }

    /// Opens a padded secret if it was sealed for exactly what `binding` says.
    pub fn open_secret(
        &self,
        sealed: &SealedKey,
        binding: &SecretBinding<'_>,
    ) -> Result<LockedBytes, OpenError> {
        self.check_named(sealed)?;
        let padded_bytes = sealed.ciphertext.0.len().checked_sub(AES_256_GCM.tag_len());
        let padded_bytes =
            padded_bytes.filter(|bytes| is_padded_length(*bytes)).ok_or(OpenError::NotAuthentic)?;
        let (ciphertext, tag) = sealed.ciphertext.0.split_at(padded_bytes);
        let cipher = self.secrets.parts().ok().and_then(|(sealing, _)| cipher(sealing));
        let nonce = Nonce::try_assume_unique_for_key(&sealed.nonce.0).map_err(|_| OpenError::NotAuthentic)?;
        let mut padded = LockedBytes::zeroed(padded_bytes)?;
        cipher
            .ok_or(OpenError::NotAuthentic)?
            .open_separate_gather(nonce, Aad::from(binding.to_bytes()), ciphertext, tag, &mut padded)
            .map_err(|_| OpenError::NotAuthentic)?;
        Ok(padded)
    }
}

#[cfg(test)]
mod tests {
    use nsl_schemas::bytes::Sha256;
    use nsl_schemas::outcome::SealedKeyBinding;
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

    fn binding<'a>(tenant: &'a Tenant, secret: &'a AggregateId) -> SecretBinding<'a> {
        let policy_sha256 = Sha256([9; 32]);
        SecretBinding { genesis_sha256: GENESIS, policy_sha256, secret, tenant, version: 1 }
    }

    fn sealed(padded: &[u8]) -> SealedKey {
        let (tenant, secret) = names();
        key().seal_secret(padded, [3; 12], &binding(&tenant, &secret)).unwrap()
    }

    #[test]
    fn a_secret_opens_for_what_it_was_sealed_for_and_for_nothing_else() {
        let (tenant, secret) = names();
        let right = binding(&tenant, &secret);
        for bytes in [64, 256, 1024, 4096] {
            assert_eq!(*key().open_secret(&sealed(&vec![5; bytes]), &right).unwrap(), vec![5; bytes]);
        }
        let other_tenant = Tenant::parse("other").unwrap();
        let other_secret = AggregateId::parse("other").unwrap();
        let wrong = [
            SecretBinding { genesis_sha256: Sha256([8; 32]), ..right.clone() },
            SecretBinding { policy_sha256: Sha256([8; 32]), ..right.clone() },
            SecretBinding { secret: &other_secret, ..right.clone() },
            SecretBinding { tenant: &other_tenant, ..right.clone() },
            SecretBinding { version: 2, ..right.clone() },
        ];
        for binding in wrong {
            let opened = key().open_secret(&sealed(&[5; 64]), &binding);
            assert_eq!(opened.unwrap_err(), OpenError::NotAuthentic, "{binding:?}");
        }
        let other = SealingKey::derive(&[2; 32], GENESIS).unwrap();
        assert!(matches!(other.open_secret(&sealed(&[5; 64]), &right), Err(OpenError::OtherKey { .. })));
        assert_ne!(other.pool_key().unwrap().public(), key().pool_key().unwrap().public());
        assert_eq!(key().pool_key().unwrap().public(), key().pool_key().unwrap().public());
    }

    #[test]
    fn a_wallets_key_and_a_secret_are_sealed_by_different_keys() {
        let (tenant, id) = names();
        let policy_sha256 = Sha256([9; 32]);
        let binding = SealedKeyBinding {
            genesis_sha256: GENESIS,
            tenant: &tenant,
            wallet: &id,
            version: 1,
            policy_sha256,
        };
        let wallets = key().seal(&Zeroizing::new([5; 32]), [3; 12], &binding).unwrap();
        let secrets = sealed(&[5; 64]);
        // Under one key and one nonce the streams would be one.
        assert_ne!(wallets.ciphertext.0[..32], secrets.ciphertext.0[..32]);
    }

    proptest! {
        #[test]
        fn altered_secrets_never_open(index in 0_usize..92, bit in 0_u8..8) {
            let (tenant, secret) = names();
            let mut altered = sealed(&[5; 64]);
            match altered.ciphertext.0.get_mut(index) {
                Some(byte) => *byte ^= 1 << bit,
                None => altered.nonce.0[index - 80] ^= 1 << bit,
            }
            let opened = key().open_secret(&altered, &binding(&tenant, &secret));
            prop_assert_eq!(opened.unwrap_err(), OpenError::NotAuthentic);
        }
    }
}
