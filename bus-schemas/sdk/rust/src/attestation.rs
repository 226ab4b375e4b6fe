//! The handshake with a worker: a challenge goes in, and only a measured build that the operators allow can answer it.

use aws_lc_rs::rand;
use nsl_schemas::authority::{Build, GenesisManifest, Operators};
use nsl_schemas::bytes::Base64;
use nsl_schemas::nkey::PublicKey;
use nsl_schemas::query::{Attestation, AttestationRequest, name};
use nsl_verify::attestation::{self, Expectation, TrustRoot, VerifyTime};

use crate::prepared::unix_now_ms;
use crate::{Client, QueryError};

/// Bytes of a challenge: nobody guesses one, and none comes twice.
const NONCE_BYTES: usize = 32;

/// Why no worker proved itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No random bytes for a challenge.
    #[error("no randomness for a challenge")]
    Randomness,
    /// Nobody answered.
    #[error("no worker was challenged")]
    Query(#[from] QueryError),
    /// The manifest names a trust root that this build does not admit.
    #[error("attestation root of the genesis manifest is not admitted")]
    TrustRoot(#[source] attestation::Error),
    /// The document does not hold.
    #[error("attestation document of the worker does not hold")]
    Attestation(#[source] attestation::Error),
    /// The document is about another key.
    #[error("attestation document does not carry the worker's key")]
    OtherKey,
    /// The log knows no such worker.
    #[error("no worker {key} is registered in the log")]
    Unregistered {
        /// Its key.
        key: PublicKey,
    },
    /// The log does not tell.
    #[error(transparent)]
    Log(#[from] crate::PoolError),
    /// The operators revoked this worker.
    #[error("the operators revoked worker {key}")]
    Revoked {
        /// Its key.
        key: PublicKey,
    },
}

/// A worker that answered a fresh challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttestedWorker {
    /// The key that signs its outcomes.
    pub key: PublicKey,
    /// The module that attested it.
    pub module_id: String,
    /// The build that it measured as, by the operators' name.
    pub build: String,
    /// By the module's own clock, Unix ms.
    pub attested_at_ms: u64,
}

impl Client {
    /// Challenges a worker, and checks its document: the manifest's root signed it now, it commits to the manifest, and it
    /// measures a build that `operators` allow.
    pub async fn attested_worker(
        &self,
        genesis: &GenesisManifest,
        operators: &Operators,
    ) -> Result<AttestedWorker, Error> {
        let mut nonce = vec![0; NONCE_BYTES];
        rand::fill(&mut nonce).map_err(|_| Error::Randomness)?;
        let question = AttestationRequest { nonce: Base64(nonce.clone()) };
        let answer: Attestation = self.query(self.tenant(), name::ATTESTATION, &question).await?;
        check(&answer, Some(nonce), genesis, operators, VerifyTime::At(unix_now_ms()))
    }

    /// Checks how a worker proved itself when it was registered: by whom, the log says, and the document proves it.
    pub async fn registered_worker(
        &self,
        key: PublicKey,
        genesis: &GenesisManifest,
        operators: &Operators,
    ) -> Result<AttestedWorker, Error> {
        let registered = self.worker_registration(&key).await?.ok_or(Error::Unregistered { key })?;
        let answer = Attestation { key, document: registered.attestation };
        check(&answer, None, genesis, operators, VerifyTime::Document)
    }
}

fn check(
    answer: &Attestation,
    nonce: Option<Vec<u8>>,
    genesis: &GenesisManifest,
    operators: &Operators,
    at: VerifyTime,
) -> Result<AttestedWorker, Error> {
    let root = TrustRoot::from_sha256(genesis.attestation_root_sha256.0).map_err(Error::TrustRoot)?;
    let builds = operators.builds();
    let demanded = Expectation::of_manifest(builds.iter().map(Build::measurements), genesis.sha256().0);
    let demanded = Expectation { nonce, ..demanded };
    let document =
        attestation::verify(&answer.document.0, &demanded, &root, at).map_err(Error::Attestation)?;
    if document.public_key.as_deref() != Some(answer.key.0.as_slice()) {
        return Err(Error::OtherKey);
    }
    if operators.is_revoked(&answer.key) {
        return Err(Error::Revoked { key: answer.key });
    }
    let is_measured = |build: &&Build| document.pcrs.get(&0) == Some(&build.pcr0.0);
    let build = builds.iter().find(is_measured).map(|build| build.name.clone()).unwrap_or_default();
    Ok(AttestedWorker {
        key: answer.key,
        module_id: document.module_id,
        build,
        attested_at_ms: document.timestamp_ms,
    })
}
