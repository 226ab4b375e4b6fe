//! A private nats-server with JetStream on disk, one user per process that speaks on it.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use crate::installation::Installation;
use crate::probe::Readiness;
use crate::process::{Specification, StopSignal};
use crate::site::SiteDirectory;

/// One user per process on the bus, so that the server's logs and limits can tell them apart; `client` is for
/// people and SDKs, `admin` for tools and tests.
pub const NATS_USERS: [&str; 9] = [
    "admin",
    "audit-log",
    "chain-relay",
    "client",
    "commands",
    "enclave-host",
    "gateway",
    "price-sources",
    "projections",
];

/// Where the bus listens and who may connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NatsEndpoint {
    /// Loopback port of the clients.
    pub port: u16,
    /// Loopback port of the HTTP monitoring pages.
    pub monitoring_port: u16,
    /// Passwords by user name.
    pub passwords: BTreeMap<&'static str, String>,
}

impl NatsEndpoint {
    /// The server without credentials.
    pub fn server(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// The connection URL of `user`, password included; `None` for a user that does not exist.
    pub fn url(&self, user: &str) -> Option<String> {
        let password = self.passwords.get(user)?;
        Some(format!("nats://{user}:{password}@127.0.0.1:{}", self.port))
    }
}

/// The server's configuration file. JSON is a subset of its format. `is_open` lets clients without credentials in.
pub(crate) fn configuration(endpoint: &NatsEndpoint, directory: &SiteDirectory, is_open: bool) -> String {
    let user = |(user, password): (&&str, &String)| json!({"user": user, "password": password});
    let mut configuration = json!({
        "server_name": "nsl-local",
        "listen": format!("127.0.0.1:{}", endpoint.port),
        "http": format!("127.0.0.1:{}", endpoint.monitoring_port),
        // Synced when the server does it by itself: Postgres is the truth and losing the bus loses no fact (D1), while a
        // sync for each of a command's messages took four fifths of the whole system's rate.
        "jetstream": { "store_dir": directory.nats() },
        "authorization": { "users": endpoint.passwords.iter().map(user).collect::<Vec<_>>() },
    });
    if is_open {
        configuration["no_auth_user"] = NATS_USERS[0].into();
    }
    format!("{configuration:#}\n")
}

/// How the server is started with the configuration file.
pub(crate) fn specification(
    installation: &Installation,
    endpoint: &NatsEndpoint,
    configuration: &Path,
    directory: &SiteDirectory,
) -> Specification {
    Specification {
        name: "nats".into(),
        program: installation.program.clone(),
        arguments: vec!["--config".into(), configuration.into()],
        environment: Vec::new(),
        working_directory: directory.nats(),
        stop_signal: StopSignal::Terminate,
        // Answers 200 once JetStream has recovered its streams, which is what clients need.
        readiness: Readiness::HttpGet { port: endpoint.monitoring_port, path: "/healthz".into() },
    }
}
