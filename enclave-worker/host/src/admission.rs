//! Judges every new connection to a worker: only a measured build of the manifest, proven now, gets jobs, and only
//! when its outcome key is registered.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::rand;
use nsl_client::Client;
use nsl_client::prepared::unix_now_ms;
use nsl_enclave_protocol::{
    Admission, AdmissionError, Description, Endpoint, Newcomer, Request, Response, channel,
};
use nsl_schemas::bytes::{Base64, Pcr, Sha256};
use nsl_schemas::canonical;
use nsl_schemas::nkey::PublicKey;
use nsl_verify::attestation::{self, VerifyTime};
use tokio::time::Instant;

use crate::genesis::Demands;
use crate::registration;

/// Bytes of a challenge: nobody guesses one, and none comes twice.
const NONCE_BYTES: usize = 32;

/// Why a worker gets no jobs.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("worker did not answer")]
    Call(#[from] channel::Error),
    #[error("worker answered with something else")]
    Malformed(#[source] canonical::Error),
    #[error("worker answered {request} with something else")]
    Unexpected { request: &'static str },
    #[error("worker could not answer ({code}): {message}")]
    Failed { code: String, message: String },
    #[error("worker obeys the genesis manifest {found}, not {expected}")]
    OtherGenesis { expected: Sha256, found: Sha256 },
    #[error("no randomness for a challenge")]
    Randomness,
    #[error("attestation document of the worker is not accepted")]
    Attestation(#[from] attestation::Error),
    #[error("attestation document carries another key than the worker names")]
    OtherKey,
    #[error(transparent)]
    Registration(#[from] registration::Error),
}

/// Admits workers.
#[derive(Debug)]
pub(crate) struct Gatekeeper {
    client: Client,
    demands: Demands,
    timeout: Duration,
    /// Whom each endpoint led to last: a connection that only broke needs no second registration.
    admitted: Mutex<BTreeMap<Endpoint, Admitted>>,
}

/// A worker as it proved itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Admitted {
    /// It signs its outcomes with this one.
    pub(crate) key: PublicKey,
    /// What its enclave was made from.
    pub(crate) pcr0: Option<Pcr>,
    /// What it says of itself.
    pub(crate) version: String,
}

/// A worker's proof of its key and build.
struct Proof {
    key: PublicKey,
    attestation: Base64,
    pcr0: Option<Pcr>,
}

impl Gatekeeper {
    /// A gatekeeper that takes at most `timeout` for each call to a worker.
    pub(crate) fn new(client: Client, demands: Demands, timeout: Duration) -> Self {
        Self { client, demands, timeout, admitted: Mutex::default() }
    }

    async fn judge(&self, newcomer: &Newcomer) -> Result<(), Error> {
        let endpoint = newcomer.endpoint();
        let description = self.describe(newcomer).await?;
        let Proof { key, attestation, pcr0 } = self.challenge(newcomer).await?;
        if self.admitted(endpoint).is_none_or(|admitted| admitted.key != key) {
            registration::register(&self.client, key, attestation).await?;
        }
        let Description { version, module_id, genesis_sha256: _, sealing_key_id } = description;
        tracing::info!(%endpoint, %key, version, module_id, sealing_key_id, "worker admitted");
        self.all_admitted().insert(endpoint.clone(), Admitted { key, pcr0, version });
        Ok(())
    }

    /// Whom the endpoint led to last.
    pub(crate) fn admitted(&self, endpoint: &Endpoint) -> Option<Admitted> {
        self.all_admitted().get(endpoint).cloned()
    }

    /// What the worker says of itself; its manifest is compared before anything is proven, for a clear error.
    async fn describe(&self, newcomer: &Newcomer) -> Result<Description, Error> {
        let Response::Description { description } = self.ask(newcomer, &Request::Describe).await? else {
            return Err(Error::Unexpected { request: "describe" });
        };
        let (expected, found) = (self.demands.genesis_sha256, description.genesis_sha256);
        if found == expected { Ok(description) } else { Err(Error::OtherGenesis { expected, found }) }
    }

    /// The worker's key, proven by a document that answers a fresh challenge.
    async fn challenge(&self, newcomer: &Newcomer) -> Result<Proof, Error> {
        let mut nonce = vec![0; NONCE_BYTES];
        rand::fill(&mut nonce).map_err(|_| Error::Randomness)?;
        let request = Request::Register { nonce: Base64(nonce.clone()) };
        let Response::Registration { key, attestation } = self.ask(newcomer, &request).await? else {
            return Err(Error::Unexpected { request: "register" });
        };
        let expectation = self.demands.expectation.clone().answering(nonce);
        let now = VerifyTime::At(unix_now_ms());
        let document = attestation::verify(&attestation.0, &expectation, &self.demands.root, now)?;
        if document.public_key.as_deref() != Some(key.0.as_slice()) {
            return Err(Error::OtherKey);
        }
        Ok(Proof { key, attestation, pcr0: document.pcrs.get(&0).map(|pcr| Pcr(*pcr)) })
    }

    async fn ask(&self, newcomer: &Newcomer, request: &Request) -> Result<Response, Error> {
        let answer = newcomer.call(request.to_bytes(), Instant::now() + self.timeout).await?;
        match Response::from_bytes(&answer).map_err(Error::Malformed)? {
            Response::Error { code, message } => Err(Error::Failed { code, message }),
            response => Ok(response),
        }
    }

    /// Plain data that no panic leaves half changed.
    fn all_admitted(&self) -> std::sync::MutexGuard<'_, BTreeMap<Endpoint, Admitted>> {
        self.admitted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Admission for Gatekeeper {
    fn admit(
        &self,
        newcomer: Newcomer,
    ) -> Pin<Box<dyn Future<Output = Result<(), AdmissionError>> + Send + '_>> {
        Box::pin(async move {
            self.judge(&newcomer).await.map_err(|error| {
                let endpoint = newcomer.endpoint();
                tracing::warn!(%endpoint, error = &error as &dyn std::error::Error, "worker not admitted");
                error.into()
            })
        })
    }
}
