//! A configuration value that never shows itself.

use std::fmt;

use serde::Deserialize;

/// A secret string: `Debug` hides it, and reading it is an explicit call.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret that came from elsewhere than the configuration.
    pub fn new(value: String) -> Self {
        Self(value)
    }

    /// The secret itself; keep it out of logs and errors.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(hidden)")
    }
}
