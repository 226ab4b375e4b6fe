//! Layered service configuration: embedded defaults < file < environment < flags, with the origin of every key.
//!
//! The embedded `default.toml` of a service is also its documentation. Typing and unknown keys are left to the
//! service's own `#[serde(deny_unknown_fields)]` struct; this crate names the key and its origin in every error.

mod args;
mod error;
mod layers;
mod redact;
mod secret;
mod typed;

use std::ffi::OsString;
use std::fmt;

use serde::de::DeserializeOwned;

pub use args::ConfigArgs;
pub use error::Error;
pub use layers::Origin;
pub use secret::Secret;

use layers::Layers;

/// A configuration that was accepted, and where each of its values came from.
#[derive(Debug)]
pub struct Loaded<T> {
    /// The typed configuration.
    pub config: T,
    /// Every key with its redacted value and origin, in the order of the keys.
    pub settings: Vec<Setting>,
}

/// One effective key as `--print-config` shows it: a line of valid TOML with its origin as a comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The dotted key.
    pub key: String,
    /// The value as TOML, secrets replaced.
    pub value: String,
    /// The layer that set it.
    pub origin: Origin,
}

impl fmt::Display for Setting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} = {} # {}", self.key, self.value, self.origin)
    }
}

impl<T> Loaded<T> {
    /// The whole configuration as TOML, one commented line a key.
    pub fn print(&self) -> String {
        self.settings.iter().flat_map(|setting| [setting.to_string(), "\n".to_owned()]).collect()
    }
}

/// Merges the four layers and types the result. `environment` is usually [`std::env::vars_os`].
pub fn load<T: DeserializeOwned>(
    defaults: &str,
    args: &ConfigArgs,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Loaded<T>, Error> {
    let mut layers = Layers::from_defaults(defaults)?;
    if let Some(path) = &args.config {
        layers.apply_file(path)?;
    }
    layers.apply_environment(environment)?;
    layers.apply_flags(&args.set)?;
    let config = typed::deserialize(&mut layers)?;
    Ok(Loaded { config, settings: layers.settings() })
}

#[cfg(test)]
mod tests;
