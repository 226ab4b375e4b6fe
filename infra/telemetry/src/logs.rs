//! Structured logs on stderr: text for people, one JSON object a line for machines.

use serde::Deserialize;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For a terminal.
    Text,
    /// One JSON object a line.
    Json,
}

/// Logs that could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter is not in the `target=level,…` syntax.
    #[error("the log filter {filter:?} is malformed: expected directives such as `info,nsl_bus=debug`")]
    Filter {
        /// The filter as given.
        filter: String,
        /// What the parser said.
        #[source]
        source: ParseError,
    },
    /// The process has a subscriber already.
    #[error("logs are already set up in this process")]
    AlreadySet(#[source] TryInitError),
}

/// Sends the process's `tracing` events, and its panics, to stderr.
pub fn init_logs(format: LogFormat, filter: &str) -> Result<(), Error> {
    let parsed =
        EnvFilter::try_new(filter).map_err(|source| Error::Filter { filter: filter.to_owned(), source })?;
    let registry = tracing_subscriber::registry().with(parsed);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match format {
        LogFormat::Text => registry.with(layer).try_init(),
        LogFormat::Json => registry.with(layer.json().flatten_event(true).with_current_span(true)).try_init(),
    }
    .map_err(Error::AlreadySet)?;
    log_panics();
    Ok(())
}

/// The default hook writes plain text, which breaks a stream of JSON lines.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        let message = panic.payload_as_str().unwrap_or("panic without a message");
        let backtrace = std::backtrace::Backtrace::capture();
        tracing::error!(panic.location = location, panic.backtrace = %backtrace, "panicked: {message}");
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_filter_is_named() {
        let error = init_logs(LogFormat::Text, "info,nsl=[").unwrap_err();
        assert!(error.to_string().contains("info,nsl=["), "{error}");
    }
}
