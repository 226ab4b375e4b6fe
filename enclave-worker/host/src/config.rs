//! The service's configuration and the checks that its types cannot make.

use std::num::NonZeroU64;
use std::path::PathBuf;

use nsl_bus::BusConfig;
use nsl_enclave_protocol::pool::MEMBERS_MAX;
use nsl_enclave_protocol::{Endpoint, endpoint};
use nsl_telemetry::{ServiceConfig, TelemetryConfig};
use serde::Deserialize;

use crate::kms::{ConfigError as KmsError, KmsConfig};
use crate::launcher::{Blueprint, BlueprintError};

/// The commented defaults.
pub const DEFAULTS: &str = include_str!("../default.toml");

/// Most lanes of one kind: each holds a pull request at the server, which takes 512 for a consumer.
const LANES_MAX: u16 = 256;

/// Everything.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Logs and the admin server.
    pub telemetry: TelemetryConfig,
    /// The bus.
    pub bus: BusConfig,
    /// Who signs the commands.
    pub issuer: IssuerConfig,
    /// What workers must prove.
    pub genesis: GenesisConfig,
    /// The workers.
    pub workers: WorkersConfig,
    /// The workers that this host starts itself.
    pub pool: PoolConfig,
    /// The way of workers to AWS KMS.
    pub kms: KmsConfig,
    /// The jobs.
    pub jobs: JobsConfig,
}

/// The `[issuer]` section.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerConfig {
    /// A file with an `SU…` seed.
    pub seed_file: PathBuf,
}

/// The `[genesis]` section.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisConfig {
    /// A file with the signed manifest.
    pub file: PathBuf,
}

/// The `[workers]` section.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkersConfig {
    /// Where workers listen that somebody else starts.
    pub endpoints: Vec<String>,
    /// For describing, attesting and registering one.
    pub admission_timeout_ms: NonZeroU64,
    /// Between two pings.
    pub ping_interval_ms: NonZeroU64,
    /// For the answer to one.
    pub ping_timeout_ms: NonZeroU64,
}

/// The `[pool]` section.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolConfig {
    /// How many workers shall serve.
    pub size: u16,
    /// The program of a worker and its arguments.
    pub command: Vec<String>,
    /// Where a started worker listens.
    pub endpoint: String,
    /// The smallest number of a worker.
    pub number_first: u32,
    /// From its start to its admission.
    pub start_timeout_ms: NonZeroU64,
    /// For the jobs of a worker that is to leave.
    pub drain_timeout_ms: NonZeroU64,
    /// From being told to end to being killed.
    pub stop_timeout_ms: NonZeroU64,
    /// First pause after a worker was lost.
    pub restart_pause_min_ms: NonZeroU64,
    /// Longest pause.
    pub restart_pause_max_ms: NonZeroU64,
}

/// The `[jobs]` section.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobsConfig {
    /// Jobs of one kind under way at once.
    pub lanes_per_kind: u16,
    /// For one job.
    pub call_timeout_ms: NonZeroU64,
    /// Without a sign of life the bus gives a job to another host.
    pub ack_wait_ms: NonZeroU64,
    /// Rest of a job that could not be done now.
    pub retry_delay_ms: NonZeroU64,
}

/// A configuration that contradicts itself.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No endpoint.
    #[error("workers.endpoints")]
    Endpoint(#[from] endpoint::Error),
    /// No worker can be started so.
    #[error(transparent)]
    Pool(#[from] BlueprintError),
    /// Workers cannot be relayed to KMS so.
    #[error(transparent)]
    Kms(#[from] KmsError),
    /// Nobody would do a job.
    #[error("no workers: workers.endpoints is empty and pool.size is 0")]
    NoWorkers,
    /// A replacement would not fit.
    #[error(
        "{endpoints} workers.endpoints and pool.size = {size} with one to replace them, expected at most {MEMBERS_MAX}"
    )]
    TooMany {
        /// Of `[workers]`.
        endpoints: usize,
        /// Of `[pool]`.
        size: u16,
    },
    /// None, or more than the server takes pull requests.
    #[error("jobs.lanes_per_kind = {found}, expected 1 to {LANES_MAX}")]
    Lanes {
        /// As configured.
        found: u16,
    },
}

impl Config {
    /// Whether every section can be used.
    pub fn check(&self) -> Result<(), Error> {
        let endpoints = self.endpoints()?.len();
        self.blueprint()?;
        self.lanes_per_kind()?;
        self.kms.check()?;
        let size = self.pool.size;
        match endpoints + usize::from(size) {
            0 => Err(Error::NoWorkers),
            sum if sum >= MEMBERS_MAX => Err(Error::TooMany { endpoints, size }),
            _ => Ok(()),
        }
    }

    /// How workers are started.
    pub(crate) fn blueprint(&self) -> Result<Blueprint, Error> {
        Ok(Blueprint::new(&self.pool)?)
    }

    /// Where the workers listen.
    pub fn endpoints(&self) -> Result<Vec<Endpoint>, Error> {
        let parsed: Result<_, endpoint::Error> =
            self.workers.endpoints.iter().map(|text| text.parse()).collect();
        Ok(parsed?)
    }

    /// Jobs of one kind under way at once.
    pub fn lanes_per_kind(&self) -> Result<u16, Error> {
        let found = self.jobs.lanes_per_kind;
        if (1..=LANES_MAX).contains(&found) { Ok(found) } else { Err(Error::Lanes { found }) }
    }
}

impl ServiceConfig for Config {
    fn telemetry(&self) -> &TelemetryConfig {
        &self.telemetry
    }
}

#[cfg(test)]
mod tests {
    use nsl_config::{ConfigArgs, load};

    use super::*;

    fn configured(more: &[&str]) -> Result<Config, nsl_config::Error> {
        let required =
            ["issuer.seed_file=/seed", "genesis.file=/genesis", "workers.endpoints=[\"unix:///w\"]"];
        let set = required.iter().chain(more).map(ToString::to_string).collect();
        let args = ConfigArgs { set, ..ConfigArgs::default() };
        Ok(load::<Config>(DEFAULTS, &args, [])?.config)
    }

    #[test]
    fn the_defaults_and_what_has_none_are_a_configuration() {
        let config = configured(&[]).unwrap();
        config.check().unwrap();
        assert_eq!(config.endpoints().unwrap(), ["unix:///w".parse().unwrap()]);
        assert_eq!(config.lanes_per_kind().unwrap(), 32);
    }

    #[test]
    fn there_is_a_worker_and_room_to_replace_it() {
        let pool = |endpoints: &str, size: u16| {
            let pool = [
                format!("workers.endpoints={endpoints}"),
                format!("pool.size={size}"),
                "pool.command=[\"run\"]".to_owned(),
                "pool.endpoint=unix:///w{number}".to_owned(),
            ];
            configured(&pool.each_ref().map(String::as_str)).unwrap().check()
        };
        assert!(pool("[]", 32).is_ok());
        assert!(matches!(pool("[]", 0), Err(Error::NoWorkers)));
        assert!(matches!(pool("[]", 33), Err(Error::Pool(_))));
        let many: Vec<String> = (0..32).map(|number| format!("\"unix:///{number}\"")).collect();
        let many = format!("[{}]", many.join(","));
        assert!(matches!(pool(&many, 32), Err(Error::TooMany { endpoints: 32, size: 32 })));
        assert!(pool(&many, 31).is_ok());
    }

    #[test]
    fn workers_are_relayed_to_one_address_or_not_at_all() {
        let check = |more: &[&str]| configured(more).unwrap().check();
        let listen = "kms.listen=[\"vsock://any:5007\"]";
        let address = "kms.address=kms.eu-central-1.amazonaws.com:443";
        assert!(check(&[listen, address]).is_ok());
        for wrong in ["kms.address=kms.test", "kms.address=:443", "kms.address=kms.test:0", "kms.address="] {
            let error = check(&[listen, wrong]).unwrap_err();
            assert!(matches!(error, Error::Kms(KmsError::Address { .. })), "{wrong}");
        }
        let error = check(&[listen, address, "kms.credentials=file"]).unwrap_err();
        assert!(matches!(error, Error::Kms(KmsError::NoFile)));
        let error = check(&["kms.listen=[\"tcp://any\"]", address]).unwrap_err();
        assert!(matches!(error, Error::Kms(KmsError::Listen(_))));
    }

    #[test]
    fn what_cannot_work_is_named() {
        let lanes = |set: &str| configured(&[set]).unwrap().lanes_per_kind();
        assert!(matches!(lanes("jobs.lanes_per_kind=0"), Err(Error::Lanes { found: 0 })));
        assert!(matches!(lanes("jobs.lanes_per_kind=257"), Err(Error::Lanes { found: 257 })));
        let endpoints = configured(&["workers.endpoints=[\"tcp://w\"]"]).unwrap().endpoints();
        assert!(matches!(endpoints, Err(Error::Endpoint(_))));
        assert!(configured(&["jobs.call_timeout_ms=0"]).is_err());
        assert!(configured(&["jobs.lanes=1"]).is_err());
    }
}
