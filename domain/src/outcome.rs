//! What every outcome must show before its result is looked at.

use nsl_schemas::bytes::Sha256;
use nsl_schemas::errors;
use nsl_schemas::event::wallet::{OutcomeProof, Refusal};
use nsl_schemas::ids;
use nsl_schemas::outcome::{SealedKey, SignedOutcome, post_state_sha256};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::decision::{Facts, Rejection};

/// Longest message of a refusing worker that is kept.
const MESSAGE_BYTES_MAX: usize = 1024;

/// A command whose outcome is awaited.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) id: Uuid,
    pub(crate) sha256: Sha256,
}

/// An outcome signed by a registered worker.
pub(crate) struct ProvenOutcome<'a>(pub(crate) &'a SignedOutcome);

impl<'a> ProvenOutcome<'a> {
    /// Checks who signed.
    pub(crate) fn prove(outcome: &'a SignedOutcome, facts: &Facts) -> Result<Self, Rejection> {
        if !facts.worker_is_registered {
            return Err(Rejection::new(errors::WORKER_UNKNOWN, "signed by no registered worker"));
        }
        if !outcome.is_signed_by_worker() {
            return Err(Rejection::new(errors::OUTCOME_INVALID, "the worker did not sign this outcome"));
        }
        Ok(Self(outcome))
    }

    /// Whether it is the outcome of `request`'s job: each request's command has one event, whose job this is.
    pub(crate) fn answers(&self, request: &Request) -> bool {
        self.is_of(ids::job_id(ids::event_id(request.id, 0)), request)
    }

    /// Whether it is the outcome of the job that reserves for `request`.
    pub(crate) fn answers_reservation(&self, request: &Request) -> bool {
        self.is_of(ids::reservation_job_id(ids::event_id(request.id, 0)), request)
    }

    fn is_of(&self, job_id: Uuid, request: &Request) -> bool {
        let statement = &self.0.statement;
        statement.job_id == job_id && statement.request_sha256 == request.sha256
    }

    /// Checks the state that the worker holds to be in force after the job.
    pub(crate) fn check_post_state(&self, sealed_key: Option<&SealedKey>) -> Result<(), Rejection> {
        if self.0.statement.post_state_sha256 == post_state_sha256(sealed_key) {
            Ok(())
        } else {
            Err(Rejection::new(errors::OUTCOME_INVALID, "the worker's post-state is not the one in force"))
        }
    }

    /// A refusal for the log.
    pub(crate) fn refusal(&self, code: &str, message: &str) -> Result<Refusal, Rejection> {
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

pub(crate) fn unexpected() -> Rejection {
    Rejection::new(errors::OUTCOME_UNEXPECTED, "no such job is open")
}

pub(crate) fn wrong_kind() -> Rejection {
    Rejection::new(errors::OUTCOME_INVALID, "the result is not of the job's kind")
}

/// Whether a key or secret is sealed as the version that must follow; none follows the last that a number can hold.
pub(crate) fn check_version(sealed: &SealedKey, expected: Option<u32>) -> Result<(), Rejection> {
    if Some(sealed.version) == expected {
        Ok(())
    } else {
        Err(Rejection::new(errors::OUTCOME_INVALID, "what is sealed is not the next version"))
    }
}
