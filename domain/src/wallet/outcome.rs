//! What every outcome must show before its result is looked at.

use nsl_schemas::errors;
use nsl_schemas::event::wallet::{OutcomeProof, Refusal};
use nsl_schemas::ids;
use nsl_schemas::outcome::{SealedKey, SignedOutcome, post_state_sha256};
use uuid::Uuid;

use super::Request;
use crate::decision::{Facts, Rejection};

/// Longest message of a refusing worker that is kept.
const MESSAGE_BYTES_MAX: usize = 1024;

/// An outcome signed by a registered worker.
pub(super) struct ProvenOutcome<'a>(pub(super) &'a SignedOutcome);

impl<'a> ProvenOutcome<'a> {
    /// Checks who signed.
    pub(super) fn prove(outcome: &'a SignedOutcome, facts: &Facts) -> Result<Self, Rejection> {
        if !facts.worker_is_registered {
            return Err(Rejection::new(errors::WORKER_UNKNOWN, "signed by no registered worker"));
        }
        if !outcome.is_signed_by_worker() {
            return Err(Rejection::new(errors::OUTCOME_INVALID, "the worker did not sign this outcome"));
        }
        Ok(Self(outcome))
    }

    /// Whether it is the outcome of `request`'s job: each request's command has one event, whose job this is.
    pub(super) fn answers(&self, request: &Request) -> bool {
        self.is_of(ids::job_id(ids::event_id(request.id, 0)), request)
    }

    /// Whether it is the outcome of the job that reserves for `request`.
    pub(super) fn answers_reservation(&self, request: &Request) -> bool {
        self.is_of(ids::reservation_job_id(ids::event_id(request.id, 0)), request)
    }

    fn is_of(&self, job_id: Uuid, request: &Request) -> bool {
        let statement = &self.0.statement;
        statement.job_id == job_id && statement.request_sha256 == request.sha256
    }

    /// Checks the state that the worker holds to be in force after the job.
    pub(super) fn check_post_state(&self, sealed_key: Option<&SealedKey>) -> Result<(), Rejection> {
        if self.0.statement.post_state_sha256 == post_state_sha256(sealed_key) {
            Ok(())
        } else {
            Err(Rejection::new(errors::OUTCOME_INVALID, "the worker's post-state is not the wallet's"))
        }
    }

    /// A refusal for the log.
    pub(super) fn refusal(&self, code: &str, message: &str) -> Result<Refusal, Rejection> {
        if code.len() > MESSAGE_BYTES_MAX || message.len() > MESSAGE_BYTES_MAX {
            return Err(Rejection::new(errors::LIMIT_EXCEEDED, "a refusal has at most 1,024 bytes of text"));
        }
        Ok(Refusal {
            code: code.to_owned(),
            message: message.to_owned(),
            outcome: OutcomeProof::from(self.0),
        })
    }
}
