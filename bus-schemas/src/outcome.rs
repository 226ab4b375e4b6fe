//! What a worker answers to a job, signed by the worker (D8): the host can deliver an outcome but not invent one.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::authority::Quorum;
use crate::bytes::{Base64, Sha256};
use crate::canonical;
use crate::envelope::statement_bytes;
use crate::nkey::{PublicKey, SigningKey};
use crate::reservation::SealedReservation;
use crate::token::{AggregateId, Tenant};

/// What a worker's signature over an [`OutcomeStatement`] begins with.
pub const OUTCOME_TAG: &str = "nsl-outcome-v1";
/// What the hashed bytes of a [`BirthStatement`] begin with.
pub const BIRTH_TAG: &str = "nsl-birth-v1";

/// A private key or a secret as it leaves the enclave: AES-256-GCM under the pool's sealing key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SealedKey {
    /// Which sealing key.
    pub sealing_key_id: String,
    /// Counts sealings of this wallet's key, or versions of this secret, from 1.
    pub version: u32,
    /// 96 random bits.
    pub nonce: Base64,
    /// Ciphertext and tag.
    pub ciphertext: Base64,
}

/// The associated data of a wallet's [`SealedKey`]: it opens only for this wallet under this policy. A secret's is
/// [`crate::secret::SecretBinding`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SealedKeyBinding<'a> {
    /// The log.
    pub genesis_sha256: Sha256,
    /// The tenant.
    pub tenant: &'a Tenant,
    /// The wallet.
    pub wallet: &'a AggregateId,
    /// The key's version.
    pub version: u32,
    /// The policy it may be used under.
    pub policy_sha256: Sha256,
}

/// What a birth certificate states about a new wallet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BirthStatement {
    /// The log.
    pub genesis_sha256: Sha256,
    /// The tenant.
    pub tenant: Tenant,
    /// The wallet.
    pub wallet: AggregateId,
    /// The command that asked for it.
    pub command_id: Uuid,
    /// The compressed P-256 key, 66 hex digits.
    pub public_key: String,
    /// Its first policy.
    pub policy_sha256: Sha256,
    /// Who may change that policy.
    pub owners: Quorum,
}

impl BirthStatement {
    /// What the attestation document carries as `user_data`.
    pub fn user_data(&self) -> Sha256 {
        Sha256::of(&statement_bytes(BIRTH_TAG, self))
    }
}

/// An attested statement that a key was born in a measured worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BirthCertificate {
    /// What is stated.
    pub statement: BirthStatement,
    /// The attestation document; its `user_data` is the statement's.
    pub document: Base64,
}

/// What became of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum JobResult {
    /// A key was born.
    KeyCreated {
        /// The key, sealed.
        sealed_key: SealedKey,
        /// The proof of its birth, with the public key.
        birth_certificate: BirthCertificate,
    },
    /// The key was sealed anew: under another policy, or with another sealing key.
    PolicyReplaced {
        /// The key, sealed.
        sealed_key: SealedKey,
    },
    /// The transfer's share was reserved; it may be signed once that is proven to be the wallet's last.
    TransferReserved {
        /// What is reserved.
        reservation: SealedReservation,
    },
    /// The transaction was signed.
    TransferSigned {
        /// As the chain shows it, `0x…`.
        tx_hash: String,
        /// r ‖ s, 64 bytes.
        signature: Base64,
    },
    /// A version of a secret was sealed.
    SecretSealed {
        /// The padded secret, sealed.
        sealed_secret: SealedKey,
    },
    /// A version of a secret was sealed to its readers.
    SecretRevealed {
        /// The attestation document; its `user_data` is that of [`crate::secret::RevealStatement`].
        document: Base64,
        /// The padded secret, sealed (HPKE) to the key in the reading.
        message: Base64,
    },
    /// The worker would not do it.
    Refused {
        /// A stable code, see [`crate::errors`].
        code: String,
        /// What happened.
        message: String,
    },
}

/// What the worker's signature covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OutcomeStatement {
    /// The job.
    pub job_id: Uuid,
    /// The request hash of the client's command.
    pub request_sha256: Sha256,
    /// SHA-256 of the canonical result.
    pub result_sha256: Sha256,
    /// SHA-256 of the sealed key or secret in force after the job, or of the empty string where there is none: what the
    /// worker holds to be the state.
    pub post_state_sha256: Sha256,
}

/// An outcome with the worker's signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SignedOutcome {
    /// What is signed.
    pub statement: OutcomeStatement,
    /// What became of the job.
    pub result: JobResult,
    /// The worker's registered key.
    pub worker: PublicKey,
    /// Ed25519 over the statement.
    pub signature: Base64,
}

impl SignedOutcome {
    /// Signs an outcome as `key`'s worker.
    pub fn sign(
        key: &SigningKey,
        job_id: Uuid,
        request_sha256: Sha256,
        result: JobResult,
        sealed_key: Option<&SealedKey>,
    ) -> Self {
        let statement = OutcomeStatement {
            job_id,
            request_sha256,
            result_sha256: canonical::sha256(&result),
            post_state_sha256: post_state_sha256(sealed_key),
        };
        let signature = Base64(key.sign(&statement_bytes(OUTCOME_TAG, &statement)).to_vec());
        Self { statement, result, worker: key.public(), signature }
    }

    /// Whether the worker signed exactly this result.
    pub fn is_signed_by_worker(&self) -> bool {
        self.statement.result_sha256 == canonical::sha256(&self.result)
            && self.worker.verifies(&statement_bytes(OUTCOME_TAG, &self.statement), &self.signature.0)
    }
}

/// The post-state hash of a wallet whose key is sealed as `sealed_key`.
pub fn post_state_sha256(sealed_key: Option<&SealedKey>) -> Sha256 {
    sealed_key.map_or_else(|| Sha256::of(b""), canonical::sha256)
}
