//! Why a call has no response, and whether it may have had an effect.

use std::sync::Arc;

use thiserror::Error as ThisError;

use super::ConnectionError;
use crate::endpoint::Endpoint;
use crate::frame::Refusal;

/// Why a call has no response.
#[derive(Debug, Clone, ThisError)]
pub enum Error {
    /// The request exceeds the server's limit; nothing was sent.
    #[error("request of {bytes} bytes exceeds the limit of {max} at {endpoint}")]
    RequestTooLarge {
        /// The worker.
        endpoint: Endpoint,
        /// Length of the request.
        bytes: usize,
        /// The server's limit.
        max: usize,
    },
    /// There is no connection; nothing was sent.
    #[error("not connected to {endpoint}")]
    NotConnected {
        /// The worker.
        endpoint: Endpoint,
        /// Why there is none, if an attempt failed already.
        #[source]
        source: Option<Arc<ConnectionError>>,
    },
    /// The deadline passed before the request's turn came; nothing was sent.
    #[error("deadline passed before the request could be sent to {endpoint}")]
    NotSent {
        /// The worker.
        endpoint: Endpoint,
    },
    /// The deadline passed without an answer; the outcome is unknown.
    #[error("no answer from {endpoint} before the deadline")]
    DeadlineExceeded {
        /// The worker.
        endpoint: Endpoint,
    },
    /// The connection was lost before the answer came; the outcome is unknown.
    #[error("connection to {endpoint} was lost before the answer came")]
    Unavailable {
        /// The worker.
        endpoint: Endpoint,
        /// How the connection ended.
        #[source]
        source: Arc<ConnectionError>,
    },
    /// The server answered that it has no answer.
    #[error("{endpoint} refused: {refusal}")]
    Refused {
        /// The worker.
        endpoint: Endpoint,
        /// Its reason.
        refusal: Refusal,
    },
}

impl Error {
    /// True if the request certainly was not handled, so that it may be sent elsewhere.
    pub fn is_unhandled(&self) -> bool {
        match self {
            Self::RequestTooLarge { .. } | Self::NotConnected { .. } | Self::NotSent { .. } => true,
            Self::DeadlineExceeded { .. } | Self::Unavailable { .. } => false,
            Self::Refused { refusal, .. } => refusal.is_unhandled(),
        }
    }
}
