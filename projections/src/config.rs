//! The service's configuration; `default.toml` documents every key.

use std::num::NonZeroU32;

use nsl_bus::BusConfig;
use nsl_config::Secret;
use nsl_telemetry::{ServiceConfig, TelemetryConfig};
use serde::Deserialize;

/// The embedded defaults.
pub const DEFAULTS: &str = include_str!("../default.toml");

/// The whole configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Logs, admin server, shutdown.
    pub telemetry: TelemetryConfig,
    /// NATS.
    pub bus: BusConfig,
    /// The event log.
    pub log: LogConfig,
    /// The read models.
    pub read: ReadConfig,
}

/// `[log]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// The role that reads the log.
    pub url: Secret,
}

/// `[read]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadConfig {
    /// The role that owns the schema.
    pub url: Secret,
    /// Of the pool.
    pub connections: NonZeroU32,
}

impl ServiceConfig for Config {
    fn telemetry(&self) -> &TelemetryConfig {
        &self.telemetry
    }
}
