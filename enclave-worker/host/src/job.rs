//! One job, from its bytes to a verdict on the message that brought it.

use std::sync::Arc;
use std::time::Duration;

use nsl_client::Client;
use nsl_client::prepared::unix_now_ms;
use nsl_enclave_protocol::{Pool, Request, Response, channel, pool};
use nsl_schemas::bytes::Sha256;
use nsl_schemas::canonical;
use nsl_schemas::errors;
use nsl_schemas::job::{EnclaveJob, EnclaveTask};
use nsl_schemas::outcome::{JobResult, SignedOutcome};
use nsl_schemas::pool_view::Certificate;
use nsl_schemas::reservation::{RESERVATION_USE_MS_MAX, Reservation};
use nsl_schemas::subject::{self, CommandSubject};
use tokio::time::Instant;
use uuid::Uuid;

use crate::failpoints;
use crate::report::{self, Reported};
use crate::views::{self, Opening, Views};

/// What a job came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    /// Its outcome is recorded.
    Performed,
    /// A worker refused it, and that is recorded.
    Refused,
    /// Its outcome was recorded before.
    Repeated,
    /// It reserved after a reservation that is not the wallet's last any more; its turn comes again.
    Overtaken,
}

impl Done {
    /// The metric's label.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Performed => "performed",
            Self::Refused => "refused",
            Self::Repeated => "repeated",
            Self::Overtaken => "overtaken",
        }
    }
}

/// Why a job is not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("job cannot be read")]
    Malformed(#[source] canonical::Error),
    #[error("job's command names no aggregate")]
    Subject(#[from] subject::Error),
    #[error("no worker did the job")]
    Call(#[source] pool::Error),
    #[error("worker's answer cannot be read")]
    Answer(#[source] canonical::Error),
    #[error("worker answered with something else than an outcome")]
    Unexpected,
    #[error("worker could not do the job ({code}): {message}")]
    Failed { code: String, message: String },
    #[error("the job's reservation is not endorsed")]
    NotEndorsed(#[from] views::Error),
    #[error("worker's outcome is not one of this job")]
    OtherJob,
    #[error(transparent)]
    Report(#[from] report::Error),
}

impl Error {
    /// Whether trying again can help. Doing a job twice is safe: of several outcomes the first counts.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Malformed(_)
            | Self::Subject(_)
            | Self::Call(pool::Error::Call(channel::Error::RequestTooLarge { .. })) => false,
            Self::Failed { code, .. } => *code != errors::PAYLOAD_INVALID.code,
            Self::Report(error) => matches!(error, report::Error::Send(_)),
            Self::NotEndorsed(_) | Self::Call(_) | Self::Answer(_) | Self::Unexpected | Self::OtherJob => {
                true
            }
        }
    }
}

/// What doing a job needs.
#[derive(Debug, Clone)]
pub(crate) struct Desk {
    pub(crate) client: Client,
    pub(crate) pool: Pool,
    pub(crate) views: Arc<Views>,
    pub(crate) call_timeout: Duration,
}

impl Desk {
    /// Has a worker do the job and reports the outcome.
    pub(crate) async fn work(&self, payload: &[u8]) -> Result<Done, Error> {
        let job: EnclaveJob = canonical::from_slice(payload).map_err(Error::Malformed)?;
        let requested = CommandSubject::parse(&job.command.envelope.subject)?;
        let (job_id, request_sha256) = (job.job_id, job.command.envelope.request_sha256());
        let outcome = self.perform(job).await?;
        if !is_outcome_of(&outcome, job_id, request_sha256) {
            return Err(Error::OtherJob);
        }
        failpoints::PERFORMED.reach();
        let is_refused = matches!(outcome.result, JobResult::Refused { .. });
        Ok(match report::report(&self.client, &requested, outcome).await? {
            Reported::Repeated => Done::Repeated,
            Reported::Overtaken => Done::Overtaken,
            Reported::Recorded if is_refused => Done::Refused,
            Reported::Recorded => Done::Performed,
        })
    }

    async fn perform(&self, job: EnclaveJob) -> Result<SignedOutcome, Error> {
        let certificate = self.certificate(&job.task).await?.map(Box::new);
        let request = Request::Perform { certificate, job: Box::new(job) }.to_bytes();
        let deadline = Instant::now() + self.call_timeout;
        let answer = self.pool.call(request, deadline).await.map_err(Error::Call)?;
        match Response::from_bytes(&answer).map_err(Error::Answer)? {
            Response::Outcome { outcome } => Ok(*outcome),
            Response::Error { code, message } => Err(Error::Failed { code, message }),
            Response::Description { .. }
            | Response::Registration { .. }
            | Response::PoolKey { .. }
            | Response::Following { .. }
            | Response::Endorsed { .. }
            | Response::Pool { .. }
            | Response::Sealing { .. } => Err(Error::Unexpected),
        }
    }

    /// What a majority of the pool says of the reservation by which a transfer is to be signed, if it needs one.
    async fn certificate(&self, task: &EnclaveTask) -> Result<Option<Certificate>, views::Error> {
        let EnclaveTask::SignTransfer { reservation: Some(reservation), sealed_key, policy, .. } = task
        else {
            return Ok(None);
        };
        match self.views.certify(reservation, Opening { sealed_key, policy }).await {
            // A worker refuses it by its own clock, certificate or not: then the transfer is done with.
            Err(_) if is_past_use(&reservation.reservation, unix_now_ms()) => Ok(None),
            certified => certified.map(Some),
        }
    }
}

/// Whether no worker signs by the reservation any more.
fn is_past_use(reservation: &Reservation, now_ms: u64) -> bool {
    now_ms > reservation.reserved_at_ms.saturating_add(RESERVATION_USE_MS_MAX)
}

/// The log would reject any other for good, under the only id that a report of this job can have.
fn is_outcome_of(outcome: &SignedOutcome, job_id: Uuid, request_sha256: Sha256) -> bool {
    let statement = &outcome.statement;
    statement.job_id == job_id && statement.request_sha256 == request_sha256 && outcome.is_signed_by_worker()
}

#[cfg(test)]
mod tests {
    use nsl_schemas::nkey::SigningKey;

    use super::*;

    #[test]
    fn only_a_signed_outcome_of_the_job_is_reported() {
        let key = SigningKey::from_seed(&[1; 32]);
        let refused = JobResult::Refused { code: "c".into(), message: "m".into() };
        let (job_id, hash) = (Uuid::from_u128(1), Sha256([2; 32]));
        let outcome = SignedOutcome::sign(&key, job_id, hash, refused, None);
        assert!(is_outcome_of(&outcome, job_id, hash));
        assert!(!is_outcome_of(&outcome, Uuid::from_u128(2), hash));
        assert!(!is_outcome_of(&outcome, job_id, Sha256([3; 32])));
        let mut altered = outcome;
        altered.result = JobResult::Refused { code: "d".into(), message: "m".into() };
        assert!(!is_outcome_of(&altered, job_id, hash));
    }

    #[test]
    fn what_can_never_be_done_is_not_tried_again() {
        let malformed = canonical::from_slice::<EnclaveJob>(b"{").map_err(Error::Malformed).unwrap_err();
        assert!(!malformed.may_pass());
        let failed = |code: &str| Error::Failed { code: code.into(), message: String::new() };
        assert!(!failed("payload_invalid").may_pass());
        assert!(failed("unavailable").may_pass());
        let rejected = report::Error::Rejected { code: "worker_unknown".into(), message: String::new() };
        assert!(!Error::Report(rejected).may_pass());
        let members = pool::Error::NoneAvailable { members: 2, source: None };
        assert!(Error::Call(members).may_pass());
    }
}
