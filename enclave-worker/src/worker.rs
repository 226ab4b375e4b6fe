//! A worker: one process's outcome key, sealing key and clock under one manifest, and its answers to a host.

use std::sync::Arc;

use nsl_enclave_protocol::{Description, Request, Response};
use nsl_schemas::authority::{ActError, OperatorStatement, Signed};
use nsl_schemas::bytes::Base64;
use nsl_schemas::errors::{self, ErrorCode};
use nsl_schemas::job::{EnclaveJob, EnclaveTask};
use nsl_schemas::nkey::SigningKey;
use nsl_schemas::outcome::{JobResult, SealedKey, SignedOutcome};
use nsl_schemas::pool_view::Certificate;
use nsl_schemas::reservation::SealedReservation;

use crate::chains::Chains;
use crate::clock::NsmClock;
use crate::genesis::Genesis;
use crate::judge::{JudgedJob, PresentedState, TransferWork, Work, judge};
use crate::nsm::{self, AttestationRequest, Nsm, NsmHandle};
use crate::operators::{NotNow, Shown};
use crate::pool_member::PoolMember;
use crate::refusal::{Failure, Refusal, Unavailable};
use crate::sealing::{self, Judging, Sealing};
use crate::sealing_provider::Provided;
use crate::withheld_mode::Proof;
use crate::{
    clock, commitment, create_key, endorse, endorser, entropy, replace_policy, reseal_key, reserve_transfer,
    secret, sign_transfer,
};

/// Why a worker does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The NSM cannot be used.
    #[error("cannot use the nsm")]
    Nsm(#[from] nsm::Error),
    /// PCR16 cannot commit to the manifest.
    #[error(transparent)]
    Commitment(#[from] commitment::Error),
    /// The worker's NSM is none under the manifest's root, or has no time.
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
    #[error("jobs cannot be judged now")]
    NotNow(#[from] NotNow),
    #[error("an act of the operators does not count")]
    Act(#[from] ActError),
    #[error(transparent)]
    Sealing(#[from] sealing::Error),
    #[error("the pool's member does not do that")]
    Member(#[from] endorser::Error),
    #[error("the reservation is not a worker's")]
    Reservation(#[source] Refusal),
}

impl Error {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Malformed(_) | Self::Unavailable(Unavailable::Nsm(nsm::Error::FieldTooLong { .. })) => {
                errors::PAYLOAD_INVALID
            }
            Self::Act(_) => errors::STATEMENT_INVALID,
            Self::Unavailable(error) => error.code(),
            Self::Sealing(error) => error.code(),
            Self::Member(error) => error.code(),
            Self::Reservation(refusal) => refusal.code,
            Self::Clock(_) | Self::NotNow(_) => errors::UNAVAILABLE,
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
    shown: Shown,
    chains: Chains,
    outcome_key: Arc<SigningKey>,
    member: PoolMember,
    sealing: Sealing,
}

impl Worker {
    /// Commits to the manifest, proves to itself that its NSM attests to that, and makes its outcome key. Whether its
    /// build may work, the operators' acts say.
    pub async fn start(
        genesis: Genesis,
        nsm: Box<dyn Nsm>,
        provided: impl Into<Provided>,
    ) -> Result<Self, StartError> {
        let (genesis, nsm) = (Arc::new(genesis), NsmHandle::start(nsm)?);
        commitment::commit(&nsm, &genesis).await?;
        let measurements = [nsm.pcr(0).await?, nsm.pcr(1).await?, nsm.pcr(2).await?];
        let clock = NsmClock::start(nsm.clone(), &genesis, measurements).await?;
        let shown = Shown::new(genesis.manifest(), measurements);
        let outcome_key = SigningKey::from_seed(&*entropy::draw(&nsm, "nsl-outcome-key").await?);
        let outcome_key = Arc::new(outcome_key);
        let member = PoolMember::new(Arc::clone(&genesis), Arc::clone(&outcome_key));
        let sealing = Sealing::start(Arc::clone(&genesis), nsm.clone(), provided.into()).await?;
        let module_id = nsm.describe().await?.module_id;
        let chains = Chains::default();
        Ok(Self { genesis, nsm, module_id, clock, shown, chains, outcome_key, member, sealing })
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
            Request::PoolKey { nonce } => {
                let (keyring, genesis_sha256) = (&self.sealing.keyring, self.genesis.sha256());
                let pool_key = secret::attest(&self.nsm, keyring, genesis_sha256, nonce).await?;
                Ok(Response::PoolKey { pool_key: Box::new(pool_key) })
            }
            Request::Follow { acts } => self.follow(&acts),
            Request::Perform { certificate, job } => {
                let outcome = Box::new(self.perform(&job, certificate.as_deref()).await?);
                Ok(Response::Outcome { outcome })
            }
            Request::Endorse { certificate, policy, reservation, sealed_key } => {
                let state = PresentedState { sealed_key: *sealed_key, policy: *policy };
                self.endorse(&reservation, &state, certificate.as_deref())
            }
            Request::Recall { head, wallet } => {
                let endorsement = Box::new(self.member.recall(&wallet, &head)?);
                Ok(Response::Endorsed { endorsement })
            }
            Request::Pool { about } => {
                let operators = self.shown.if_allowed()?;
                let answer = self.member.answer(*about, &operators)?;
                Ok(Response::Pool { answer: Box::new(answer) })
            }
            Request::Sealing { about, credentials } => {
                let (operators, now_ms) = (self.shown.if_allowed()?, self.clock.now_ms().await?);
                let judging = Judging { operators: &operators, now_ms, credentials: credentials.as_ref() };
                let answer = self.sealing.answer(*about, judging).await?;
                Ok(Response::Sealing { answer: Box::new(answer) })
            }
        }
    }

    /// What the worker says of itself.
    pub fn describe(&self) -> Description {
        Description {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            module_id: self.module_id.clone(),
            genesis_sha256: self.genesis.sha256(),
            sealing_keys: self.sealing.keyring.names(),
        }
    }

    async fn register(&self, nonce: Base64) -> Result<Response, Error> {
        let key = self.outcome_key.public();
        let request =
            AttestationRequest { public_key: Some(key.0.to_vec()), user_data: None, nonce: Some(nonce.0) };
        let document = self.nsm.attest(request).await.map_err(Unavailable::Nsm)?;
        Ok(Response::Registration { key, attestation: Base64(document) })
    }

    /// Takes in what the operators decided.
    fn follow(&self, acts: &[Signed<OperatorStatement>]) -> Result<Response, Error> {
        let followed = self.shown.follow(acts);
        // Acts before the one that does not count were taken in.
        self.member.follow(&self.shown.operators());
        let operators = followed?;
        tracing::info!(sequence = operators.sequence(), epoch = operators.epoch(), "operators followed");
        Ok(Response::Following { sequence: operators.sequence(), head_sha256: operators.head_sha256() })
    }

    /// Endorses what a worker reserved: the key opens, and seals what its reservations are sealed with.
    fn endorse(
        &self,
        sealed: &SealedReservation,
        state: &PresentedState,
        certificate: Option<&Certificate>,
    ) -> Result<Response, Error> {
        self.shown.if_allowed()?;
        endorse::check_seal(&self.sealing.keyring, self.genesis.sha256(), sealed, state).map_err(
            |failure| match failure {
                Failure::Refused(refusal) => Error::Reservation(refusal),
                Failure::Unavailable(error) => Error::Unavailable(error),
            },
        )?;
        let endorsement = Box::new(self.member.endorse(&sealed.reservation, certificate)?);
        Ok(Response::Endorsed { endorsement })
    }

    async fn perform(
        &self,
        job: &EnclaveJob,
        certificate: Option<&Certificate>,
    ) -> Result<SignedOutcome, Error> {
        let operators = self.shown.for_job(job)?;
        let now_ms = self.clock.now_ms().await?;
        let result = match judge(job, &self.chains, &operators, now_ms) {
            Ok(judged) => self.execute(&judged, certificate).await,
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

    async fn execute(
        &self,
        job: &JudgedJob,
        certificate: Option<&Certificate>,
    ) -> Result<JobResult, Failure> {
        let (nsm, keyring) = (&self.nsm, &self.sealing.keyring);
        let JudgedJob { subject, work } = job;
        match work {
            Work::CreateKey(policy) => create_key::create_key(nsm, keyring, subject, policy).await,
            Work::ReplacePolicy(change, state) => {
                replace_policy::replace_policy(nsm, keyring, subject, change, state).await
            }
            Work::ResealKey(reseal, state) => {
                reseal_key::reseal_key(nsm, keyring, subject, reseal, state).await
            }
            Work::ReserveTransfer(TransferWork { transfer, approvals, reservation: last, state }) => {
                let last = last.as_ref();
                reserve_transfer::reserve_transfer(keyring, subject, transfer, approvals, last, state)
            }
            Work::SignTransfer(TransferWork { transfer, approvals, reservation, state }) => {
                let view = self.member.view_for(certificate);
                let proof = Proof { reservation: reservation.as_ref(), view: view.as_ref(), certificate };
                sign_transfer::sign_transfer(keyring, subject, transfer, approvals, state, proof)
            }
            Work::StoreSecret(store) => secret::store(nsm, keyring, subject, store).await,
            Work::SetReaders(change, present) => {
                secret::set_readers(nsm, keyring, subject, change, present).await
            }
            Work::RevealSecret(reading, present) => {
                secret::reveal(nsm, keyring, subject, reading, present).await
            }
        }
    }
}

/// The wallet's key or the secret after the job: the new one where there is one, else the one that was presented.
fn post_state<'a>(result: &'a JobResult, task: &'a EnclaveTask) -> Option<&'a SealedKey> {
    match result {
        JobResult::KeyCreated { sealed_key, .. } | JobResult::PolicyReplaced { sealed_key } => {
            Some(sealed_key)
        }
        JobResult::SecretSealed { sealed_secret } => Some(sealed_secret),
        JobResult::TransferReserved { .. }
        | JobResult::TransferSigned { .. }
        | JobResult::SecretRevealed { .. }
        | JobResult::Refused { .. } => presented(task),
    }
}

/// What the host presented as the state.
fn presented(task: &EnclaveTask) -> Option<&SealedKey> {
    match task {
        EnclaveTask::CreateKey | EnclaveTask::SealSecret { present: None } => None,
        EnclaveTask::ReplacePolicy { sealed_key, .. }
        | EnclaveTask::ReserveTransfer { sealed_key, .. }
        | EnclaveTask::SignTransfer { sealed_key, .. } => Some(sealed_key),
        EnclaveTask::SealSecret { present: Some(present) } | EnclaveTask::RevealSecret { present } => {
            Some(&present.sealed_secret)
        }
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
