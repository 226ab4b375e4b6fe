//! What can go wrong when a node is asked.

/// Why a node gave no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL of the node is not an http or https URL. It is not repeated, for it may hold a password.
    #[error("the node's URL is not an http or https URL")]
    Url,
    /// The HTTP client cannot be set up.
    #[error("http client for the node")]
    Client(#[source] reqwest::Error),
    /// The node was not reached or did not answer in time. Whether it acted is not known.
    #[error("{method}: the node is not reachable")]
    Unreachable {
        /// The question.
        method: &'static str,
        /// What failed.
        #[source]
        source: reqwest::Error,
    },
    /// The node, or something before it, answered outside the protocol.
    #[error("{method}: HTTP status {status} without an answer")]
    HttpStatus {
        /// The question.
        method: &'static str,
        /// The status.
        status: u16,
    },
    /// The answer is over the limit.
    #[error("{method}: the answer is over {limit} bytes")]
    ResponseTooLarge {
        /// The question.
        method: &'static str,
        /// The limit.
        limit: usize,
    },
    /// The node refused the question.
    #[error("{method}: node error {code}: {message}")]
    Rpc {
        /// The question.
        method: &'static str,
        /// The node's code (NEP-23).
        code: i64,
        /// The node's words, cut to a bounded length.
        message: String,
    },
    /// The answer has another shape than documented.
    #[error("{method}: the answer is malformed")]
    Malformed {
        /// The question.
        method: &'static str,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
}

impl Error {
    /// Whether the same question may succeed later or at another node.
    pub const fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::HttpStatus { .. })
    }

    pub(crate) fn malformed(method: &'static str, what: &str) -> Self {
        Self::Malformed { method, source: serde::de::Error::custom(what) }
    }
}

/// Answers with one of these codes say that the thing asked for does not exist (yet).
pub(crate) fn none_if_unknown<T>(result: Result<T, Error>, codes: &[i64]) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Error::Rpc { code, .. }) if codes.contains(&code) => Ok(None),
        Err(error) => Err(error),
    }
}
