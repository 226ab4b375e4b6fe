//! The service's configuration; `default.toml` documents every key.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;

use nsl_bus::BusConfig;
use nsl_config::Secret;
use nsl_schemas::token::Tenant;
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
    /// Rates and quotas of tenants.
    pub limits: LimitsConfig,
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

/// `[limits]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsConfig {
    /// Of every tenant.
    pub default: TenantLimits,
    /// Of single tenants, where they differ.
    #[serde(default)]
    pub tenants: BTreeMap<Tenant, OwnLimits>,
}

/// What a tenant may ask. A quota that is absent is none.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantLimits {
    /// New commands a second, in bursts of as many.
    pub commands_per_second: NonZeroU32,
    /// The same of each of its issuers.
    pub issuer_commands_per_second: NonZeroU32,
    /// New commands a day.
    pub commands_per_day: Option<NonZeroU32>,
    /// Their payloads, each begun KiB counted whole.
    pub payload_kib_per_day: Option<NonZeroU32>,
}

/// What differs from the default.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnLimits {
    /// See [`TenantLimits`].
    pub commands_per_second: Option<NonZeroU32>,
    /// See [`TenantLimits`].
    pub issuer_commands_per_second: Option<NonZeroU32>,
    /// See [`TenantLimits`].
    pub commands_per_day: Option<NonZeroU32>,
    /// See [`TenantLimits`].
    pub payload_kib_per_day: Option<NonZeroU32>,
}

impl LimitsConfig {
    /// The limits of one tenant.
    pub(crate) fn of(&self, tenant: &Tenant) -> TenantLimits {
        let default = self.default.clone();
        let Some(own) = self.tenants.get(tenant) else { return default };
        let issuer = own.issuer_commands_per_second;
        TenantLimits {
            commands_per_second: own.commands_per_second.unwrap_or(default.commands_per_second),
            issuer_commands_per_second: issuer.unwrap_or(default.issuer_commands_per_second),
            commands_per_day: own.commands_per_day.or(default.commands_per_day),
            payload_kib_per_day: own.payload_kib_per_day.or(default.payload_kib_per_day),
        }
    }
}

/// `[reactor]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReactorConfig {
    /// Whether this process may become the reactor.
    pub enabled: bool,
    /// The role that keeps the reactor's memory.
    pub url: Secret,
    /// Age of an open job.
    pub republish_after_ms: u64,
}

impl ServiceConfig for Config {
    fn telemetry(&self) -> &TelemetryConfig {
        &self.telemetry
    }
}
