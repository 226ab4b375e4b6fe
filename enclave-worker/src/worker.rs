//! A worker: one process's outcome key, sealing key and clock under one manifest, and its answers to a host.

use std::sync::Arc;

use nsl_enclave_protocol::{Description, Request, Response};
use nsl_schemas::bytes::Base64;
use nsl_schemas::errors::{self, ErrorCode};
use nsl_schemas::job::{EnclaveJob, EnclaveTask};
use nsl_schemas::nkey::SigningKey;
use nsl_schemas::outcome::{JobResult, SealedKey, SignedOutcome};

use crate::clock::NsmClock;
use crate::genesis::Genesis;
use crate::judge::{JudgedJob, Work, judge};
use crate::nsm::{self, AttestationRequest, Nsm, NsmHandle};
use crate::refusal::{Failure, Unavailable};
use crate::seal::SealingKey;
use crate::{clock, commitment, create_key, entropy, replace_policy, sign_transfer};

/// Why a worker does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The NSM cannot be used.
    #[error("cannot use the nsm")]
    Nsm(#[from] nsm::Error),
    /// PCR16 cannot commit to the manifest.
    #[error(transparent)]
    Commitment(#[from] commitment::Error),
    /// The worker is none of the manifest's, or has no time.
    #[error(transparent)]
    Clock(#[from] clock::Error),
    /// No outcome key.
    #[error("cannot draw the outcome key")]
    Entropy(#[from] entropy::Error),
}

/// A request that was not answered with what it asked for.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("request cannot be read")]
    Malformed(#[from] nsl_schemas::canonical::Error),
    #[error("request cannot be met now")]
    Unavailable(#[from] Unavailable),
    #[error("the time is not known")]
    Clock(#[from] clock::Error),
}

impl Error {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Malformed(_) | Self::Unavailable(Unavailable::Nsm(nsm::Error::FieldTooLong { .. })) => {
                errors::PAYLOAD_INVALID
            }
            Self::Unavailable(_) | Self::Clock(_) => errors::UNAVAILABLE,
        }
    }
}

/// A running worker.
#[derive(Debug)]
pub struct Worker {
    genesis: Arc<Genesis>,
    nsm: NsmHandle,
    module_id: String,
    clock: NsmClock,
    outcome_key: SigningKey,
    sealing_key: SealingKey,
}

impl Worker {
    /// Commits to the manifest, proves to itself that it is one of the manifest's builds, and makes its outcome key.
    pub async fn start(
        genesis: Genesis,
        nsm: Box<dyn Nsm>,
        sealing_key: SealingKey,
    ) -> Result<Self, StartError> {
        let genesis = Arc::new(genesis);
        let nsm = NsmHandle::start(nsm)?;
        commitment::commit(&nsm, &genesis).await?;
        let clock = NsmClock::start(nsm.clone(), Arc::clone(&genesis)).await?;
        let outcome_key = SigningKey::from_seed(&*entropy::draw(&nsm, "nsl-outcome-key").await?);
        let module_id = nsm.describe().await?.module_id;
        Ok(Self { genesis, nsm, module_id, clock, outcome_key, sealing_key })
    }

    /// Answers one message of a host.
    pub async fn answer(&self, request: &[u8]) -> Vec<u8> {
        let response = self.respond(request).await.unwrap_or_else(|error| {
            tracing::warn!(error = &error as &dyn std::error::Error, "request not met");
            Response::Error { code: error.code().to_string(), message: with_causes(&error) }
        });
        response.to_bytes()
    }

    async fn respond(&self, request: &[u8]) -> Result<Response, Error> {
        match Request::from_bytes(request)? {
            Request::Describe => Ok(Response::Description { description: self.describe() }),
            Request::Register { nonce } => self.register(nonce).await,
            Request::Perform { job } => {
                let outcome = Box::new(self.perform(&job).await?);
                Ok(Response::Outcome { outcome })
            }
        }
    }

    /// What the worker says of itself.
    pub fn describe(&self) -> Description {
        Description {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            module_id: self.module_id.clone(),
            genesis_sha256: self.genesis.sha256(),
            sealing_key_id: self.sealing_key.id().to_owned(),
        }
    }

    async fn register(&self, nonce: Base64) -> Result<Response, Error> {
        let key = self.outcome_key.public();
        let request =
            AttestationRequest { public_key: Some(key.0.to_vec()), user_data: None, nonce: Some(nonce.0) };
        let document = self.nsm.attest(request).await.map_err(Unavailable::Nsm)?;
        Ok(Response::Registration { key, attestation: Base64(document) })
    }

    async fn perform(&self, job: &EnclaveJob) -> Result<SignedOutcome, Error> {
        let now_ms = self.clock.now_ms().await?;
        let result = match judge(job, &self.genesis, now_ms) {
            Ok(judged) => self.execute(&judged).await,
            Err(refusal) => Err(Failure::Refused(refusal)),
        };
        let (job_id, kind) = (job.job_id, job.task.kind());
        let result = match result {
            Ok(result) => {
                tracing::debug!(%job_id, kind, "job done");
                result
            }
            Err(Failure::Refused(refusal)) => {
                tracing::warn!(%job_id, kind, %refusal, "job refused");
                refusal.into()
            }
            Err(Failure::Unavailable(error)) => return Err(error.into()),
        };
        let request_sha256 = job.command.envelope.request_sha256();
        let post_state = post_state(&result, &job.task).cloned();
        Ok(SignedOutcome::sign(&self.outcome_key, job_id, request_sha256, result, post_state.as_ref()))
    }

    async fn execute(&self, job: &JudgedJob) -> Result<JobResult, Failure> {
        let Self { nsm, sealing_key, .. } = self;
        let JudgedJob { subject, work } = job;
        match work {
            Work::CreateKey(policy) => create_key::create_key(nsm, sealing_key, subject, policy).await,
            Work::ReplacePolicy(change, state) => {
                replace_policy::replace_policy(nsm, sealing_key, subject, change, state).await
            }
            Work::SignTransfer(transfer, state) => {
                sign_transfer::sign_transfer(sealing_key, subject, transfer, state)
            }
        }
    }
}

/// The wallet's key after the job: the new one where there is one, else the one that was presented.
fn post_state<'a>(result: &'a JobResult, task: &'a EnclaveTask) -> Option<&'a SealedKey> {
    match (result, task) {
        (JobResult::KeyCreated { sealed_key, .. } | JobResult::PolicyReplaced { sealed_key }, _) => {
            Some(sealed_key)
        }
        (
            JobResult::TransferSigned { .. } | JobResult::Refused { .. },
            EnclaveTask::ReplacePolicy { sealed_key, .. } | EnclaveTask::SignTransfer { sealed_key, .. },
        ) => Some(sealed_key),
        (JobResult::TransferSigned { .. } | JobResult::Refused { .. }, EnclaveTask::CreateKey) => None,
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
