//! The connection of a service: waits for its server for ever with bounded back-off, refuses wrong credentials at once.

use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::{self, context::ContextBuilder};
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, ServerAddr};
use nsl_config::Secret;
use serde::Deserialize;

/// First wait after a lost connection; a server restart on one machine takes about this long.
const BACKOFF_FIRST: Duration = Duration::from_millis(50);
/// Longest wait: short enough that a recovered bus is found within seconds, long enough to spare a starting one.
const BACKOFF_LIMIT: Duration = Duration::from_secs(5);
/// How often the server is asked whether it is there. The client gives it up after the third unanswered one, so a server
/// that hangs is left within some six seconds.
const PING_INTERVAL: Duration = Duration::from_secs(2);
/// Publishes whose acknowledgement is awaited at once by a process; more wait. It must exceed the sum of all windows
/// of `publish_run_at_sequence` in a process, which hold their permits until the run advances.
const MAX_ACK_INFLIGHT: usize = 8192;
/// The server's own limit.
const REPLICAS_MAX: u8 = 5;
/// A seed file holds one line of 58 characters; more is a mistaken path.
const SEED_FILE_LIMIT_BYTES: u64 = 4096;

/// The `[bus]` section of a service's configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BusConfig {
    /// One or more server URLs, separated by commas; a secret because somebody may write a password into it, which
    /// is refused.
    pub url: Secret,
    /// User name, with `password`.
    pub user: Option<String>,
    /// Password of `user`.
    pub password: Option<Secret>,
    /// File with the NKEY seed of this connection; not the key that signs commands.
    pub nkey_seed_file: Option<PathBuf>,
    /// File with the PEM root certificates of the server, for `tls://`.
    pub tls_ca_file: Option<PathBuf>,
    /// How long one connection attempt may take.
    pub connect_timeout_ms: u64,
    /// How long a request or a publish acknowledgement may take.
    pub request_timeout_ms: u64,
    /// Copies of each stream that this process makes: one on a single server, three in a cluster.
    #[serde(default = "one_replica")]
    pub replicas: u8,
}

fn one_replica() -> u8 {
    1
}

/// A connection that cannot be made by waiting longer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A URL is malformed; it is not repeated, it may hold a password.
    #[error("bus.url entry {position} is not a NATS URL: expected nats://host:port")]
    Url {
        /// Which entry of the list, from 1.
        position: usize,
    },
    /// The client library would ignore credentials in a URL and connect without them.
    #[error("bus.url entry {position} holds credentials: set bus.user and bus.password instead")]
    UrlCredentials {
        /// Which entry of the list, from 1.
        position: usize,
    },
    /// User and password must come together.
    #[error("bus.user and bus.password must be set together")]
    HalfCredentials,
    /// The server keeps at most five copies.
    #[error("bus.replicas is {found}, expected 1 to {REPLICAS_MAX}")]
    Replicas {
        /// What is configured.
        found: u8,
    },
    /// Two ways to log in are configured.
    #[error("bus.user and bus.nkey_seed_file exclude each other")]
    TwoCredentials,
    /// The seed file cannot be read.
    #[error("cannot read bus.nkey_seed_file {}", path.display())]
    SeedFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The server refuses the credentials.
    #[error("the bus refused the credentials of {name}")]
    Refused {
        /// The connection's name.
        name: String,
        /// What the server said.
        #[source]
        source: async_nats::ConnectError,
    },
}

/// A connection to NATS with its JetStream context. Clones share it.
#[derive(Debug, Clone)]
pub struct Bus {
    client: Client,
    jetstream: jetstream::Context,
    replicas: u8,
}

impl Bus {
    /// Connects under `name`. Waits for ever for a server that is not there; drop the future to give up. Afterwards
    /// a lost connection is restored for ever in the background.
    pub async fn connect(config: &BusConfig, name: &str) -> Result<Self, Error> {
        let servers = servers(config.url.expose())?;
        if !(1..=REPLICAS_MAX).contains(&config.replicas) {
            return Err(Error::Replicas { found: config.replicas });
        }
        let seed = read_seed(config).await?;
        let mut attempt = 0;
        loop {
            let options = options(config, name, seed.as_ref())?;
            match options.connect(&servers[..]).await {
                Ok(client) => {
                    return Ok(Self::over(client, config));
                }
                Err(source) if is_final(source.kind()) => {
                    return Err(Error::Refused { name: name.to_owned(), source });
                }
                Err(error) => {
                    attempt += 1;
                    let wait = backoff(attempt, jitter(attempt));
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        attempt,
                        wait_ms = wait.as_millis(),
                        "bus not reachable"
                    );
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    fn over(client: Client, config: &BusConfig) -> Self {
        let timeout = Duration::from_millis(config.request_timeout_ms);
        let jetstream = ContextBuilder::new()
            .timeout(timeout)
            .ack_timeout(timeout)
            .max_ack_inflight(MAX_ACK_INFLIGHT)
            .backpressure_on_inflight(true)
            .build(client.clone());
        Self { client, jetstream, replicas: config.replicas }
    }

    /// Whether the connection is up now, in the form of a readiness check.
    pub fn check(&self) -> Result<(), String> {
        match self.client.connection_state() {
            State::Connected => Ok(()),
            State::Pending => Err("not connected yet".to_owned()),
            State::Disconnected => Err("disconnected, reconnecting".to_owned()),
        }
    }

    /// Copies of each stream that this process makes.
    pub fn replicas(&self) -> u8 {
        self.replicas
    }

    /// The core NATS client, for what this crate does not wrap.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The JetStream context, for what this crate does not wrap.
    pub fn jetstream(&self) -> &jetstream::Context {
        &self.jetstream
    }
}

fn servers(urls: &str) -> Result<Vec<ServerAddr>, Error> {
    let parse = |(index, url): (usize, &str)| {
        let position = index + 1;
        let server: ServerAddr = url.trim().parse().map_err(|_| Error::Url { position })?;
        if server.has_user_pass() { Err(Error::UrlCredentials { position }) } else { Ok(server) }
    };
    urls.split(',').enumerate().map(parse).collect()
}

async fn read_seed(config: &BusConfig) -> Result<Option<Secret>, Error> {
    use tokio::io::AsyncReadExt;

    let Some(path) = &config.nkey_seed_file else { return Ok(None) };
    let failed = |source| Error::SeedFile { path: path.clone(), source };
    let mut text = String::new();
    let file = tokio::fs::File::open(path).await.map_err(failed)?;
    file.take(SEED_FILE_LIMIT_BYTES).read_to_string(&mut text).await.map_err(failed)?;
    Ok(Some(Secret::new(text.trim().to_owned())))
}

fn options(config: &BusConfig, name: &str, seed: Option<&Secret>) -> Result<ConnectOptions, Error> {
    let mut options = match (&config.user, &config.password, seed) {
        (None, None, None) => ConnectOptions::new(),
        (Some(user), Some(password), None) => {
            ConnectOptions::with_user_and_password(user.clone(), password.expose().to_owned())
        }
        (None, None, Some(seed)) => ConnectOptions::with_nkey(seed.expose().to_owned()),
        (Some(_), _, Some(_)) => return Err(Error::TwoCredentials),
        _ => return Err(Error::HalfCredentials),
    };
    if let Some(user) = &config.user {
        // An inbox that only this user may listen on: answers are for who asked.
        options = options.custom_inbox_prefix(format!("_INBOX.{user}"));
    }
    if let Some(path) = &config.tls_ca_file {
        options = options.add_root_certificates(path.clone()).require_tls(true);
    }
    Ok(options
        .name(name)
        .ping_interval(PING_INTERVAL)
        .connection_timeout(Duration::from_millis(config.connect_timeout_ms))
        .request_timeout(Some(Duration::from_millis(config.request_timeout_ms)))
        .max_reconnects(None)
        .reconnect_delay_callback(|attempt| backoff(attempt.saturating_sub(1), jitter(attempt)))
        .event_callback(|event| {
            log_event(&event);
            std::future::ready(())
        }))
}

fn is_final(kind: ConnectErrorKind) -> bool {
    matches!(kind, ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation)
}

fn log_event(event: &Event) {
    match event {
        Event::Connected => tracing::info!("bus connected"),
        Event::Disconnected => tracing::warn!("bus disconnected, reconnecting"),
        Event::LameDuckMode => tracing::warn!("bus server is about to stop"),
        Event::Draining | Event::Closed => tracing::info!(%event, "bus connection closing"),
        // Messages of core subscriptions were dropped: requests time out at their senders.
        Event::SlowConsumer(subscription) => tracing::error!(subscription, "bus subscription too slow"),
        Event::ServerError(error) => tracing::error!(%error, "bus server reports an error"),
        Event::ClientError(error) => tracing::warn!(%error, "bus client reports an error"),
    }
}

/// Doubles from the first wait to the limit; the upper half is jitter, so that clients of a restarted server spread.
fn backoff(attempt: usize, jitter: u64) -> Duration {
    if attempt == 0 {
        return Duration::ZERO;
    }
    let doublings = u32::try_from(attempt - 1).unwrap_or(u32::MAX).min(16);
    let full = BACKOFF_FIRST.saturating_mul(1 << doublings).min(BACKOFF_LIMIT);
    let half = full / 2;
    let spread_us = u64::try_from(half.as_micros()).unwrap_or(u64::MAX);
    half + Duration::from_micros(jitter % (spread_us + 1))
}

fn jitter(attempt: usize) -> u64 {
    RandomState::new().hash_one(attempt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_starts_at_once_grows_and_stays_within_its_limit() {
        assert_eq!(backoff(0, u64::MAX), Duration::ZERO);
        for jitter in [0, 1, 24_999, u64::MAX] {
            assert!((BACKOFF_FIRST / 2..=BACKOFF_FIRST).contains(&backoff(1, jitter)), "{jitter}");
            for attempt in [8, 64, usize::MAX] {
                assert!(
                    (BACKOFF_LIMIT / 2..=BACKOFF_LIMIT).contains(&backoff(attempt, jitter)),
                    "{attempt} {jitter}"
                );
            }
        }
    }

    #[tokio::test]
    async fn a_configuration_that_cannot_work_is_refused_before_connecting() {
        let table = [
            ("url = 'http://x'", "bus.url entry 1"),
            ("url = 'nats://a,:::'", "bus.url entry 2"),
            ("url = 'nats://a,nats://u:hunter2@b'", "bus.url entry 2 holds credentials"),
            ("url = 'nats://a'\nuser = 'u'", "bus.user and bus.password"),
            ("url = 'nats://a'\npassword = 'p'", "bus.user and bus.password"),
            ("url = 'nats://a'\nreplicas = 0", "bus.replicas is 0"),
            ("url = 'nats://a'\nreplicas = 6", "bus.replicas is 6"),
            ("url = 'nats://a'\nnkey_seed_file = '/nonexistent/seed'", "/nonexistent/seed"),
            (
                "url = 'nats://a'\nuser = 'u'\npassword = 'p'\nnkey_seed_file = '/dev/null'",
                "exclude each other",
            ),
        ];
        for (text, words) in table {
            let text = format!("{text}\nconnect_timeout_ms = 1000\nrequest_timeout_ms = 1000");
            let config: BusConfig = toml::from_str(&text).unwrap();
            let error = Bus::connect(&config, "test").await.unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
            assert!(error.contains(words), "{error:?} should contain {words:?}");
        }
    }
}
