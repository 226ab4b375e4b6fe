//! KMS' refusals, in its form.

use serde_json::{Value, json};

/// A refusal.
#[derive(Debug, thiserror::Error)]
#[error("{code}: {message}")]
pub(crate) struct Refusal {
    code: &'static str,
    message: String,
}

impl Refusal {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// All that a request can be refused for here has this status.
    pub(crate) const STATUS: u16 = 400;

    /// KMS writes `message` for most refusals, and `Message` for those that IAM decides.
    pub(crate) fn body(&self) -> Value {
        let member = if self.code == "AccessDeniedException" { "Message" } else { "message" };
        json!({ "__type": self.code, member: self.message })
    }
}
