//! Secrets that only enclaves see: who may read one, what its ciphertexts are bound to, and what owners and readers sign.
//!
//! A secret is bytes that a client encrypts to its log's pool of workers. It is in the clear in the client that stores it, in
//! a worker for the length of a job, and in the client that reads it. What it is bound to is said once,
//! [`SecretBinding`], and holds on the way to the worker and in the log: no host moves a ciphertext to another name, version
//! or policy.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::authority::{Quorum, Statement};
use crate::bytes::{Base64, HpkeKey, Sha256};
use crate::canonical;
use crate::envelope::statement_bytes;
use crate::sealing::SealingKeyName;
use crate::token::{AggregateId, Tenant};

/// Bytes that say how long a secret is, in front of it.
const LENGTH_BYTES: usize = 2;
/// What a secret with its length is filled up to, with zeros, before it is encrypted: a ciphertext tells which of these, and
/// no more of the length. The last is a page, which a worker holds in locked memory.
const PADDED_BYTES: [usize; 4] = [64, 256, 1024, 4096];
/// Longest secret: with its length it fills a page. Who keeps more encrypts it with a key, and keeps the key here.
pub const SECRET_BYTES_MAX: usize = PADDED_BYTES[PADDED_BYTES.len() - 1] - LENGTH_BYTES;
/// Longest time for which readers let a secret be read, ms: as long as it may take to gather their signatures.
pub const READING_MS_MAX: u64 = 24 * 60 * 60 * 1000;

/// What a secret is sealed for on its way to the pool (HPKE's `info`); bound to [`SecretBinding::to_bytes`].
pub const SECRET_TO_POOL: &[u8] = b"nsl-secret-to-pool-v1";
/// What it is sealed for on its way to a reader; bound to [`SecretReading::sha256`].
pub const SECRET_TO_READER: &[u8] = b"nsl-secret-to-reader-v1";
/// What the hashed bytes of a [`PoolKeyStatement`] begin with.
const POOL_KEY_TAG: &str = "nsl-secret-pool-key-v1";
/// What the hashed bytes of a [`RevealStatement`] begin with.
const REVEAL_TAG: &str = "nsl-secret-revealed-v1";

/// The secret with its length in front and zeros behind, as it is encrypted; `None` where it is longer than
/// [`SECRET_BYTES_MAX`].
pub fn padded(secret: &[u8]) -> Option<zeroize::Zeroizing<Vec<u8>>> {
    let bytes = PADDED_BYTES.into_iter().find(|bytes| secret.len() + LENGTH_BYTES <= *bytes)?;
    let length = u16::try_from(secret.len()).ok()?.to_be_bytes();
    // Made at its full length, or growing would leave copies behind.
    let mut padded = zeroize::Zeroizing::new(Vec::with_capacity(bytes));
    padded.extend_from_slice(&length);
    padded.extend_from_slice(secret);
    padded.resize(bytes, 0);
    Some(padded)
}

/// The secret in what [`padded`] made; `None` for anything else.
pub fn unpadded(padded: &[u8]) -> Option<&[u8]> {
    let (length, rest) = padded.split_first_chunk::<LENGTH_BYTES>()?;
    let (secret, zeros) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    let is_padding = is_padded_length(padded.len()) && zeros.iter().all(|byte| *byte == 0);
    is_padding.then_some(secret)
}

/// Whether a padded secret may have this many bytes.
pub fn is_padded_length(bytes: usize) -> bool {
    PADDED_BYTES.contains(&bytes)
}

/// Who decides about a secret, and who reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SecretPolicy {
    /// Whose quorum changes the readers, and destroys the secret.
    pub owners: Quorum,
    /// Whose quorum reads it.
    pub readers: Quorum,
}

impl SecretPolicy {
    /// The hash that ciphertexts are bound to.
    pub fn sha256(&self) -> Sha256 {
        canonical::sha256(self)
    }

    /// Whether both quorums can be met, and no key counts twice.
    pub fn is_sound(&self) -> bool {
        self.owners.is_sound() && self.readers.is_sound()
    }
}

/// What every ciphertext of a secret is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SecretBinding<'a> {
    /// The log.
    pub genesis_sha256: Sha256,
    /// Who may read it.
    pub policy_sha256: Sha256,
    /// Which secret.
    pub secret: &'a AggregateId,
    /// Whose.
    pub tenant: &'a Tenant,
    /// Counts what was stored and every change of the readers, from 1.
    pub version: u32,
}

impl SecretBinding<'_> {
    /// The associated data of its ciphertexts.
    pub fn to_bytes(&self) -> Vec<u8> {
        canonical::to_string(self).into_bytes()
    }
}

/// A secret as a client encrypts it to the pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EncryptedSecret {
    /// The padded secret, sealed (HPKE) to the pool key.
    pub message: Base64,
    /// Which sealing key the pool key belongs to.
    pub sealing_key_id: String,
}

/// What the owners sign to replace the policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReadersChange {
    /// The log.
    pub genesis_sha256: Sha256,
    /// The policy that begins.
    pub policy: SecretPolicy,
    /// The hash of the policy that ends, whose owners sign.
    pub previous_sha256: Sha256,
    /// Which secret.
    pub secret: AggregateId,
    /// Whose.
    pub tenant: Tenant,
    /// The version that the change makes: signed once, it is made once.
    pub version: u32,
}

impl Statement for ReadersChange {
    const TAG: &'static str = "nsl-secret-readers-v1";
}

/// What readers sign to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SecretReading {
    /// No worker reveals by it afterwards, Unix ms; at most [`READING_MS_MAX`] ahead.
    #[serde(deserialize_with = "crate::number::below_2_pow_53")]
    pub expires_at_ms: u64,
    /// The log.
    pub genesis_sha256: Sha256,
    /// The policy whose readers sign.
    pub policy_sha256: Sha256,
    /// Whom the secret is sealed to; made for this reading alone.
    pub recipient: HpkeKey,
    /// The command that it is for.
    pub request_id: Uuid,
    /// Which secret.
    pub secret: AggregateId,
    /// Whose.
    pub tenant: Tenant,
    /// Which version, and no other.
    pub version: u32,
}

impl Statement for SecretReading {
    const TAG: &'static str = "nsl-secret-reading-v1";
}

impl SecretReading {
    /// Its hash, to which the message to the reader is bound.
    pub fn sha256(&self) -> Sha256 {
        canonical::sha256(self)
    }
}

/// What the owners sign to end a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SecretDestruction {
    /// The log.
    pub genesis_sha256: Sha256,
    /// Which secret.
    pub secret: AggregateId,
    /// Whose.
    pub tenant: Tenant,
}

impl Statement for SecretDestruction {
    const TAG: &'static str = "nsl-secret-destruction-v1";
}

/// What a worker states about the key that secrets are encrypted to. It follows from the sealing key, so every worker that
/// has the one has the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PoolKeyStatement {
    /// The log.
    pub genesis_sha256: Sha256,
    /// Whom to seal to.
    pub key: HpkeKey,
    /// What it follows from.
    pub sealing_key: SealingKeyName,
}

impl PoolKeyStatement {
    /// What the attestation document carries as `user_data`.
    pub fn user_data(&self) -> Sha256 {
        Sha256::of(&statement_bytes(POOL_KEY_TAG, self))
    }
}

/// An attested statement about the key that secrets are encrypted to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PoolKey {
    /// A document with the asker's challenge; its `user_data` is the statement's.
    pub document: Base64,
    /// What is stated.
    pub statement: PoolKeyStatement,
}

/// What a worker states about a message to a reader: who can seal to a reader's key can send anything, an attested worker
/// sends what it opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RevealStatement {
    /// SHA-256 of the message.
    pub message_sha256: Sha256,
    /// See [`SecretReading::sha256`].
    pub reading_sha256: Sha256,
}

impl RevealStatement {
    /// What the attestation document carries as `user_data`.
    pub fn user_data(&self) -> Sha256 {
        Sha256::of(&statement_bytes(REVEAL_TAG, self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_come_back_whole_and_ciphertexts_tell_one_of_four_lengths() {
        for (length, bytes) in [
            (0, 64),
            (1, 64),
            (62, 64),
            (63, 256),
            (254, 256),
            (255, 1024),
            (1022, 1024),
            (1023, 4096),
            (SECRET_BYTES_MAX, 4096),
        ] {
            let secret = vec![7; length];
            let padded = padded(&secret).unwrap();
            assert_eq!((padded.len(), is_padded_length(padded.len())), (bytes, true), "{length}");
            assert_eq!(unpadded(&padded), Some(secret.as_slice()), "{length}");
        }
        assert_eq!(padded(&[0; SECRET_BYTES_MAX + 1]), None);
    }

    #[test]
    fn what_is_no_padded_secret_is_none() {
        let good = padded(b"secret").unwrap();
        let altered = |index: usize, byte: u8| {
            let mut altered = good.to_vec();
            altered[index] = byte;
            altered
        };
        for wrong in [
            altered(0, 1),
            altered(1, 63),
            altered(63, 1),
            altered(9, 1),
            good[..63].to_vec(),
            vec![0; 65],
            vec![0],
            vec![],
        ] {
            assert_eq!(unpadded(&wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_policy_has_two_quorums_that_can_be_met() {
        let key = crate::nkey::SigningKey::from_seed(&[1; 32]).public();
        let quorum = |threshold| Quorum { threshold, keys: vec![key] };
        let is_sound =
            |owners, readers| SecretPolicy { owners: quorum(owners), readers: quorum(readers) }.is_sound();
        assert!(is_sound(1, 1));
        assert!(!is_sound(1, 2) && !is_sound(0, 1));
    }
}
