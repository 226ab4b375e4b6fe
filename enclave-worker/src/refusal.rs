//! A worker's no: to the job, which is signed and recorded; or for now, which changes nothing.

use nsl_schemas::errors::{self, ErrorCode};
use nsl_schemas::outcome::JobResult;

use crate::{entropy, nsm, seal};

/// Longest message of a refusal: the log keeps no longer one, and it may quote what a client wrote.
const MESSAGE_BYTES_MAX: usize = 1024;

/// The job will not be done, by this worker or any other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub(crate) struct Refusal {
    pub(crate) code: ErrorCode,
    message: String,
}

impl Refusal {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        let mut message = message.into();
        message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
        Self { code, message }
    }
}

impl From<Refusal> for JobResult {
    fn from(refusal: Refusal) -> Self {
        Self::Refused { code: refusal.code.code.to_owned(), message: refusal.message }
    }
}

/// The worker's own means failed; the job may be done later or elsewhere.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unavailable {
    /// The NSM failed.
    #[error(transparent)]
    Nsm(#[from] nsm::Error),
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] entropy::Error),
    /// The key could not be sealed.
    #[error(transparent)]
    Seal(#[from] seal::Error),
    /// Nobody gave the worker a sealing key yet.
    #[error("the worker has no sealing key yet")]
    NoSealingKey,
    /// It was given others.
    #[error("the worker has not the sealing key that this was sealed with")]
    OtherSealingKey,
    /// No usable key was drawn.
    #[error("no P-256 key was drawn")]
    Key(#[source] nsl_neo::private_key::Error),
    /// The policy's time lock has not passed.
    #[error("the policy holds this back until {from_ms}, it is {now_ms}")]
    TimeLocked {
        /// When it passes, Unix ms.
        from_ms: u64,
        /// The NSM's time.
        now_ms: u64,
    },
    /// The worker is in no view, so nobody can have endorsed a reservation for it.
    #[error("the policy has a rule that counts, and the worker is a member of no view")]
    NoView,
    /// A majority of the worker's view did not endorse.
    #[error("no majority of the worker's view endorsed the reservation")]
    NotEndorsed,
    /// The key did not sign.
    #[error("transaction could not be signed")]
    Sign(#[source] nsl_neo::private_key::Error),
}

impl Unavailable {
    /// What the host hears.
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            Self::Nsm(nsm::Error::FieldTooLong { .. }) => errors::PAYLOAD_INVALID,
            Self::NoSealingKey | Self::OtherSealingKey => errors::SEALING_KEY_MISSING,
            Self::NoView => errors::WITHHELD_MODE_REQUIRED,
            Self::NotEndorsed => errors::RESERVATION_NOT_ENDORSED,
            _ => errors::UNAVAILABLE,
        }
    }
}

/// Why a job has no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let refusal = Refusal::new(errors::WORKER_STATE_INVALID, "é".repeat(600) + "x");
        assert_eq!(refusal.message, "é".repeat(512));
        let refusal = Refusal::new(errors::WORKER_STATE_INVALID, format!("x{}", "é".repeat(600)));
        assert_eq!(refusal.message.len(), 1023);
    }
}
