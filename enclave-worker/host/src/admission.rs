//! Judges every new connection to a worker: only a measured build that the operators allow, proven now, gets jobs, and
//! only when its outcome key is registered. Then it is shown what the operators decided, and whatever they decide later.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::rand;
use nsl_client::Client;
use nsl_client::prepared::unix_now_ms;
use nsl_enclave_protocol::{
    Admission, AdmissionError, Description, Endpoint, Newcomer, Request, Response, channel,
};
use nsl_schemas::authority::{Build, Operators};
use nsl_schemas::bytes::{Base64, Pcr, Sha256};
use nsl_schemas::canonical;
use nsl_schemas::nkey::PublicKey;
use nsl_verify::attestation::{self, Expectation, TrustRoot, VerifyTime};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::genesis::Demands;
use crate::operators::{Followed, ShowError};
use crate::registration;

/// Bytes of a challenge: nobody guesses one, and none comes twice.
const NONCE_BYTES: usize = 32;
/// Between two looks at what the operators decided: a revoked build is told so within this time.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(2);

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
    #[error("worker has no sealing key yet; another worker gives it one, or its custodians do")]
    NoSealingKey,
    #[error("no randomness for a challenge")]
    Randomness,
    #[error("attestation document of the worker is not accepted")]
    Attestation(#[from] attestation::Error),
    #[error("attestation document carries another key than the worker names")]
    OtherKey,
    #[error("the operators revoked this worker")]
    Revoked,
    #[error(transparent)]
    Registration(#[from] registration::Error),
    #[error("worker was not told what the operators decided")]
    Show(#[from] ShowError),
}

/// Admits workers.
#[derive(Debug)]
pub(crate) struct Gatekeeper {
    client: Client,
    root: TrustRoot,
    followed: Followed,
    /// Whether the last look at the operators' acts failed.
    is_cut_off: AtomicBool,
    timeout: Duration,
    /// Whom each endpoint led to last: a connection that only broke needs no second registration.
    admitted: Mutex<BTreeMap<Endpoint, Admitted>>,
    /// The newest connection to each endpoint, and how many acts went over it.
    connected: Mutex<BTreeMap<Endpoint, (Arc<Newcomer>, u32)>>,
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
        let Demands { root, operators } = demands;
        let followed = Followed::new(client.clone(), operators);
        Self {
            client,
            root,
            followed,
            is_cut_off: AtomicBool::new(false),
            timeout,
            admitted: Mutex::default(),
            connected: Mutex::default(),
        }
    }

    /// Follows the operators until `stop`, and shows the admitted workers what they decide.
    pub(crate) async fn follow(&self, stop: CancellationToken) {
        let mut looks = tokio::time::interval(FOLLOW_INTERVAL);
        while stop.run_until_cancelled(looks.tick()).await.is_some() {
            self.refresh().await;
            let sequence = self.followed.operators().sequence();
            let behind: Vec<_> = self
                .connected()
                .values()
                .filter(|(_, told)| *told < sequence)
                .map(|(worker, told)| (Arc::clone(worker), *told))
                .collect();
            for (worker, told) in behind {
                self.show(&worker, told).await;
            }
        }
    }

    /// Goes on with what is known when the service does not tell, and says so once: the log judges by newer acts anyway.
    async fn refresh(&self) {
        match self.followed.refresh().await {
            Ok(()) => self.is_cut_off.store(false, Ordering::Relaxed),
            Err(error) if !self.is_cut_off.swap(true, Ordering::Relaxed) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "operators cannot be followed");
            }
            Err(_) => {}
        }
    }

    /// A worker that is gone is shown everything when it comes back.
    async fn show(&self, worker: &Arc<Newcomer>, told: u32) {
        let endpoint = worker.endpoint();
        match self.followed.show(worker, told, Instant::now() + self.timeout).await {
            Ok(sequence) => {
                if let Some((newest, told)) = self.connected().get_mut(endpoint)
                    && Arc::ptr_eq(newest, worker)
                {
                    *told = sequence;
                }
            }
            Err(error) => {
                tracing::warn!(%endpoint, error = &error as &dyn std::error::Error, "worker not told of the operators");
            }
        }
    }

    /// Returns how many acts the newcomer was shown.
    async fn judge(&self, newcomer: &Newcomer) -> Result<u32, Error> {
        let endpoint = newcomer.endpoint();
        self.refresh().await;
        let operators = self.followed.operators();
        let description = self.describe(newcomer, &operators).await?;
        // Before it has a key: others give it one only if they and it know of the same builds.
        let told = self.followed.show(newcomer, 0, Instant::now() + self.timeout).await?;
        if description.sealing_keys.is_empty() {
            return Err(Error::NoSealingKey);
        }
        let Proof { key, attestation, pcr0 } = self.challenge(newcomer, &operators).await?;
        if operators.is_revoked(&key) {
            return Err(Error::Revoked);
        }
        if self.admitted(endpoint).is_none_or(|admitted| admitted.key != key) {
            registration::register(&self.client, key, attestation).await?;
        }
        let Description { version, module_id, genesis_sha256: _, sealing_keys: _ } = description;
        tracing::info!(%endpoint, %key, version, module_id, "worker admitted");
        self.all_admitted().insert(endpoint.clone(), Admitted { key, pcr0, version });
        Ok(told)
    }

    /// What the operators decided, as far as it is known here.
    pub(crate) fn operators(&self) -> Arc<Operators> {
        self.followed.operators()
    }

    /// Whom the endpoint led to last.
    pub(crate) fn admitted(&self, endpoint: &Endpoint) -> Option<Admitted> {
        self.all_admitted().get(endpoint).cloned()
    }

    /// What the worker says of itself; its manifest is compared before anything is proven, for a clear error.
    async fn describe(&self, newcomer: &Newcomer, operators: &Operators) -> Result<Description, Error> {
        let Response::Description { description } = self.ask(newcomer, &Request::Describe).await? else {
            return Err(Error::Unexpected { request: "describe" });
        };
        let (expected, found) = (operators.genesis_sha256(), description.genesis_sha256);
        if found == expected { Ok(description) } else { Err(Error::OtherGenesis { expected, found }) }
    }

    /// The worker's key, proven by a document that answers a fresh challenge.
    async fn challenge(&self, newcomer: &Newcomer, operators: &Operators) -> Result<Proof, Error> {
        let mut nonce = vec![0; NONCE_BYTES];
        rand::fill(&mut nonce).map_err(|_| Error::Randomness)?;
        let request = Request::Register { nonce: Base64(nonce.clone()) };
        let Response::Registration { key, attestation } = self.ask(newcomer, &request).await? else {
            return Err(Error::Unexpected { request: "register" });
        };
        let builds = operators.builds().iter().map(Build::measurements);
        let expectation = Expectation::of_manifest(builds, operators.genesis_sha256().0).answering(nonce);
        let now = VerifyTime::At(unix_now_ms());
        let document = attestation::verify(&attestation.0, &expectation, &self.root, now)?;
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

    /// Plain data that no panic leaves half changed.
    fn connected(&self) -> std::sync::MutexGuard<'_, BTreeMap<Endpoint, (Arc<Newcomer>, u32)>> {
        self.connected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Admission for Gatekeeper {
    fn admit(
        &self,
        newcomer: Newcomer,
    ) -> Pin<Box<dyn Future<Output = Result<(), AdmissionError>> + Send + '_>> {
        Box::pin(async move {
            let endpoint = newcomer.endpoint().clone();
            match self.judge(&newcomer).await {
                Ok(told) => {
                    self.connected().insert(endpoint, (Arc::new(newcomer), told));
                    Ok(())
                }
                Err(error) => {
                    tracing::warn!(%endpoint, error = &error as &dyn std::error::Error, "worker not admitted");
                    Err(error.into())
                }
            }
        })
    }
}
