//! What can be wrong with a configuration; every variant names the key or the place to mend.

use std::path::PathBuf;

use crate::Origin;

/// A configuration that was refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The defaults compiled into the binary are not TOML: a defect of the program, not of its user.
    #[error("the built-in defaults are not valid TOML")]
    Defaults(#[source] toml::de::Error),
    /// The file of `--config` cannot be read.
    #[error("cannot read the configuration file {}", path.display())]
    ReadFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file of `--config` is larger than any real configuration.
    #[error("the configuration file {} is larger than {limit_bytes} bytes", path.display())]
    FileTooLarge {
        /// The file.
        path: PathBuf,
        /// The limit.
        limit_bytes: u64,
    },
    /// The file of `--config` is not UTF-8 TOML.
    #[error("the configuration file {} is not valid TOML: {message}", path.display())]
    ParseFile {
        /// The file.
        path: PathBuf,
        /// What the parser said and where, without the text of the line, which may hold a secret.
        message: String,
    },
    /// An environment variable with our prefix does not name a key.
    #[error("the environment variable {name} names no key: expected NSL__SECTION__KEY")]
    VariableName {
        /// The variable.
        name: String,
    },
    /// An environment variable with our prefix is not UTF-8.
    #[error("the environment variable {name} is not valid UTF-8")]
    VariableEncoding {
        /// The variable.
        name: String,
    },
    /// A `--set` argument has another form than `section.key=value`; its value is not repeated, it may be secret.
    #[error("--set argument {position} is malformed: expected section.key=value")]
    Flag {
        /// Which `--set` argument, from 1.
        position: usize,
    },
    /// A key is unknown, missing or of the wrong type.
    #[error("key `{key}` ({}): {expected}", described(origin.as_ref()))]
    Key {
        /// The dotted key, or its section where a key is missing.
        key: String,
        /// The layer that set it; none when nothing did.
        origin: Option<Origin>,
        /// What was expected there.
        expected: String,
    },
}

fn described(origin: Option<&Origin>) -> String {
    origin.map_or_else(|| "set nowhere".to_owned(), |origin| format!("from {origin}"))
}
