//! The service's configuration; `default.toml` documents every key.

use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;

use nsl_bus::BusConfig;
use nsl_config::Secret;
use nsl_telemetry::{ServiceConfig, TelemetryConfig};
use serde::Deserialize;

/// The commented defaults.
pub const DEFAULTS: &str = include_str!("../default.toml");

/// Everything.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Logs and the admin server.
    pub telemetry: TelemetryConfig,
    /// The bus.
    pub bus: BusConfig,
    /// The node.
    pub neo: NeoConfig,
    /// Who signs the reports.
    pub issuer: IssuerConfig,
    /// How transactions are followed.
    pub relay: RelayConfig,
}

impl ServiceConfig for Config {
    fn telemetry(&self) -> &TelemetryConfig {
        &self.telemetry
    }
}

/// The `[neo]` section.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NeoConfig {
    /// Of one node; a secret because a provider's URL may hold a key.
    pub rpc_url: Secret,
    /// For one answer.
    pub timeout_ms: NonZeroU64,
}

/// The `[issuer]` section.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerConfig {
    /// A file with an `SU…` seed.
    pub seed_file: PathBuf,
}

/// The `[relay]` section.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelayConfig {
    /// Between two questions for new blocks.
    pub poll_ms: NonZeroU64,
    /// Transactions followed at once.
    pub watched_jobs_max: NonZeroU32,
    /// After how long without a sign of life a job is delivered again.
    pub ack_wait_ms: NonZeroU64,
    /// How many blocks a quoted transfer stays valid.
    pub valid_for_blocks: NonZeroU32,
}

#[cfg(test)]
mod tests {
    use nsl_config::ConfigArgs;

    use super::*;

    fn load(set: &[&str]) -> Result<Config, nsl_config::Error> {
        let set = set.iter().map(|setting| (*setting).to_owned()).collect();
        let args = ConfigArgs { set, ..ConfigArgs::default() };
        nsl_config::load::<Config>(DEFAULTS, &args, []).map(|loaded| loaded.config)
    }

    #[test]
    fn the_defaults_lack_only_the_seed_file() {
        let config = load(&["issuer.seed_file=/etc/nsl/seed"]).unwrap();
        assert_eq!(config.telemetry.admin_address.port(), 7104);
        assert!(load(&[]).is_err());
    }

    #[test]
    fn values_that_would_stop_the_work_are_refused() {
        for setting in [
            "relay.poll_ms=0",
            "relay.watched_jobs_max=0",
            "relay.ack_wait_ms=0",
            "relay.valid_for_blocks=0",
            "neo.timeout_ms=0",
        ] {
            assert!(load(&["issuer.seed_file=/etc/nsl/seed", setting]).is_err(), "{setting}");
        }
    }
}
