//! A private nats-server with JetStream on disk: one user per process that speaks on it, one account per tenant.

mod accounts;
mod configured;
mod login;
mod users;

use std::collections::BTreeMap;
use std::path::Path;

pub(crate) use configured::configured_at;
pub(crate) use login::is_let_in;
use serde_json::json;

use crate::installation::Installation;
use crate::probe::Readiness;
use crate::process::{Specification, StopSignal};
use crate::site::SiteDirectory;

/// The name of its process.
pub(crate) const PROCESS: &str = "nats";
/// Its configuration file.
pub(crate) const CONFIGURATION: &str = "nats.conf";

/// Where the bus listens and who may connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NatsEndpoint {
    /// Loopback port of the clients.
    pub port: u16,
    /// Loopback port of the HTTP monitoring pages.
    pub monitoring_port: u16,
    /// Passwords by user name: the services' and each tenant's.
    pub passwords: BTreeMap<String, String>,
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

    /// The user of a tenant.
    pub fn tenant_user(tenant: &str) -> String {
        accounts::tenant_user(tenant)
    }
}

/// All users of a bus with these tenants.
pub(crate) fn users(tenants: &[String]) -> impl Iterator<Item = String> {
    users::USERS
        .iter()
        .map(|user| user.name.to_owned())
        .chain(tenants.iter().map(|tenant| accounts::tenant_user(tenant)))
}

/// The server's configuration file. JSON is a subset of its format. `is_open` lets clients without credentials in.
pub(crate) fn configuration(
    endpoint: &NatsEndpoint,
    tenants: &[String],
    directory: &SiteDirectory,
    is_open: bool,
) -> String {
    let mut configuration = json!({
        "server_name": "nsl-local",
        "listen": format!("127.0.0.1:{}", endpoint.port),
        "http": format!("127.0.0.1:{}", endpoint.monitoring_port),
        // Synced when the server does it by itself: Postgres is the truth and losing the bus loses no fact (D1), while a
        // sync for each of a command's messages took four fifths of the whole system's rate.
        "jetstream": { "store_dir": directory.nats() },
        "accounts": accounts::accounts(tenants, &endpoint.passwords),
    });
    if is_open {
        configuration["no_auth_user"] = users::ADMIN.into();
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
        name: PROCESS.into(),
        program: installation.program.clone(),
        arguments: vec!["--config".into(), configuration.into()],
        environment: Vec::new(),
        working_directory: directory.nats(),
        stop_signal: StopSignal::Terminate,
        // Answers 200 once JetStream has recovered its streams, which is what clients need.
        readiness: Readiness::HttpGet { port: endpoint.monitoring_port, path: "/healthz".into() },
    }
}
