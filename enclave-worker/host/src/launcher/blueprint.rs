//! How a worker is started, from the `[pool]` section.

use std::num::NonZeroU64;
use std::time::Duration;

use nsl_enclave_protocol::{Endpoint, endpoint};

use crate::config::PoolConfig;

/// Stands for the number of a worker in its command and endpoint.
const NUMBER: &str = "{number}";
/// Most workers of one host: one enclave a core, and half of a pool's members, as a replacement doubles some.
pub(crate) const SIZE_MAX: u16 = 32;

/// A `[pool]` section that no worker can be started from.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Too many.
    #[error("pool.size = {found}, expected at most {SIZE_MAX}")]
    Size {
        /// As configured.
        found: u16,
    },
    /// Nothing to start.
    #[error("pool.command is empty, and pool.size is not 0")]
    NoCommand,
    /// Two workers would listen at the same place.
    #[error("pool.endpoint {endpoint:?} has no {NUMBER}, and two workers need two endpoints")]
    SameEndpoint {
        /// As configured.
        endpoint: String,
    },
    /// Not an endpoint, once it has a number.
    #[error("pool.endpoint")]
    Endpoint(#[from] endpoint::Error),
    /// The pauses go down.
    #[error("pool.restart_pause_min_ms is more than pool.restart_pause_max_ms")]
    Pauses,
}

/// How workers are started and stopped.
#[derive(Debug, Clone)]
pub(crate) struct Blueprint {
    pub(super) size: usize,
    program: String,
    arguments: Vec<String>,
    endpoint: String,
    pub(super) number_first: u32,
    pub(super) start_timeout: Duration,
    pub(super) drain_timeout: Duration,
    pub(super) stop_timeout: Duration,
    pub(super) restart_pause_min: Duration,
    pub(super) restart_pause_max: Duration,
}

impl Blueprint {
    /// Checks the section.
    pub(crate) fn new(config: &PoolConfig) -> Result<Self, Error> {
        let time = |ms: NonZeroU64| Duration::from_millis(ms.get());
        let (program, arguments) = match config.command.split_first() {
            Some((program, arguments)) => (program.clone(), arguments.to_vec()),
            None if config.size == 0 => (String::new(), vec![]),
            None => return Err(Error::NoCommand),
        };
        if config.size > SIZE_MAX {
            return Err(Error::Size { found: config.size });
        }
        if config.restart_pause_min_ms > config.restart_pause_max_ms {
            return Err(Error::Pauses);
        }
        let blueprint = Self {
            size: usize::from(config.size),
            program,
            arguments,
            endpoint: config.endpoint.clone(),
            number_first: config.number_first,
            start_timeout: time(config.start_timeout_ms),
            drain_timeout: time(config.drain_timeout_ms),
            stop_timeout: time(config.stop_timeout_ms),
            restart_pause_min: time(config.restart_pause_min_ms),
            restart_pause_max: time(config.restart_pause_max_ms),
        };
        if blueprint.size > 0 {
            if !blueprint.endpoint.contains(NUMBER) {
                return Err(Error::SameEndpoint { endpoint: blueprint.endpoint });
            }
            blueprint.endpoint_of(blueprint.number_first)?;
        }
        Ok(blueprint)
    }

    /// The program of a worker and its arguments.
    pub(super) fn command_of(&self, number: u32) -> (String, Vec<String>) {
        let numbered = |text: &String| text.replace(NUMBER, &number.to_string());
        (numbered(&self.program), self.arguments.iter().map(numbered).collect())
    }

    /// Where a worker listens.
    pub(super) fn endpoint_of(&self, number: u32) -> Result<Endpoint, endpoint::Error> {
        self.endpoint.replace(NUMBER, &number.to_string()).parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> PoolConfig {
        let ms = |ms| NonZeroU64::new(ms).unwrap();
        PoolConfig {
            size: 2,
            command: ["run", "--cid", "{number}"].map(str::to_owned).to_vec(),
            endpoint: "vsock://{number}:5005".into(),
            number_first: 16,
            start_timeout_ms: ms(1),
            drain_timeout_ms: ms(1),
            stop_timeout_ms: ms(1),
            restart_pause_min_ms: ms(1),
            restart_pause_max_ms: ms(2),
        }
    }

    #[test]
    fn each_worker_has_its_number_in_command_and_endpoint() {
        let blueprint = Blueprint::new(&config()).unwrap();
        assert_eq!(blueprint.command_of(17), ("run".into(), vec!["--cid".into(), "17".into()]));
        assert_eq!(blueprint.endpoint_of(17).unwrap(), "vsock://17:5005".parse().unwrap());
    }

    #[test]
    fn what_cannot_start_a_worker_is_named() {
        let error = |change: fn(&mut PoolConfig)| {
            let mut config = config();
            change(&mut config);
            Blueprint::new(&config).unwrap_err()
        };
        assert!(matches!(error(|config| config.size = 33), Error::Size { found: 33 }));
        assert!(matches!(error(|config| config.command.clear()), Error::NoCommand));
        let same = error(|config| config.endpoint = "vsock://17:5005".into());
        assert!(matches!(same, Error::SameEndpoint { .. }));
        assert!(matches!(error(|config| config.endpoint = "tcp://{number}".into()), Error::Endpoint(_)));
        let pauses = error(|config| config.restart_pause_min_ms = NonZeroU64::new(3).unwrap());
        assert!(matches!(pauses, Error::Pauses));
    }

    #[test]
    fn a_host_that_starts_no_worker_needs_no_command() {
        let none = PoolConfig { size: 0, command: vec![], endpoint: String::new(), ..config() };
        assert!(Blueprint::new(&none).is_ok());
    }
}
