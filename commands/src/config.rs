//! The service's configuration; `default.toml` documents every key.

use std::path::PathBuf;

use nsl_bus::BusConfig;
use nsl_config::Secret;
use nsl_telemetry::{ServiceConfig, TelemetryConfig};
use serde::Deserialize;

/// The whole configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Logs, admin server, shutdown.
    pub telemetry: TelemetryConfig,
    /// NATS.
    pub bus: BusConfig,
    /// Postgres.
    pub log: LogConfig,
    /// Intake and decisions.
    pub processor: ProcessorConfig,
    /// Events to jobs and deadlines.
    pub reactor: ReactorConfig,
    /// Who signs the reactor's commands.
    #[serde(default)]
    pub issuer: IssuerConfig,
}

/// `[log]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// The role that owns the tables; runs migrations.
    pub owner_url: Secret,
    /// The role that appends.
    pub url: Secret,
}

/// `[processor]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessorConfig {
    /// In the leases.
    pub name: String,
    /// `Signed<GenesisManifest>` as JSON.
    pub genesis_file: PathBuf,
    /// Of a partition's lease.
    pub lease_ttl_ms: u64,
    /// In one commit.
    pub batch_commands_max: usize,
    /// In memory.
    pub cache_aggregates_max: std::num::NonZeroUsize,
    /// Of one tenant.
    pub tenant_commands_per_second: std::num::NonZeroU32,
    /// From the request of a transfer to its expiry without a signature.
    pub signing_deadline_ms: u64,
}

/// `[issuer]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerConfig {
    /// A file with an `SU…` seed; a process that may become the reactor needs one.
    pub seed_file: Option<PathBuf>,
}

/// `[reactor]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReactorConfig {
    /// Whether this process may become the reactor.
    pub enabled: bool,
    /// Age of an open job.
    pub republish_after_ms: u64,
}

impl ServiceConfig for Config {
    fn telemetry(&self) -> &TelemetryConfig {
        &self.telemetry
    }
}
