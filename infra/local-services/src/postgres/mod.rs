//! A private Postgres cluster: durable settings, loopback only, a random password, data checksums.

mod cluster;
mod locate;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) use cluster::{Cluster, Error as ClusterError, remove_elsewhere};
pub(crate) use locate::{Error as LocateError, find, find_or_install};

use crate::probe::Readiness;
use crate::process::{self, Specification, StopSignal};

/// Superuser and owner of the database; runs the migrations, and nothing else of ours logs in as it.
const USER: &str = "nsl";
const DATABASE: &str = "nsl";
/// Its name among a site's processes.
pub(crate) const PROCESS: &str = "postgres";
/// Services' pools and parallel tests together; the default of 100 is too few for a whole test run.
const CONNECTIONS_MAX: u16 = 300;
/// After the death of an opener, the kernel and init need a moment to clear its server away.
pub(crate) const PREDECESSOR_TIMEOUT: Duration = Duration::from_secs(15);
/// The kernel's limit for socket addresses is 108 bytes; `/.s.PGSQL.65535.lock` follows the folder.
const SOCKET_FOLDER_BYTES_MAX: usize = 85;

/// The roles that services log in as. What each may do is said by the migrations; a role without them may do nothing.
pub const ROLES: [&str; 4] = ["nsl_commands", "nsl_reactor", "nsl_projections", "nsl_auditor"];

/// Where the database listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresEndpoint {
    /// Loopback port.
    pub port: u16,
    /// Role that owns the database.
    pub user: &'static str,
    /// Its password.
    pub password: String,
    /// Database name.
    pub database: &'static str,
    /// Passwords of the services' roles.
    pub roles: BTreeMap<&'static str, String>,
}

impl PostgresEndpoint {
    pub(crate) fn new(port: u16, password: String, roles: BTreeMap<&'static str, String>) -> Self {
        Self { port, user: USER, password, database: DATABASE, roles }
    }

    /// The owner's connection URL, password included.
    pub fn url(&self) -> String {
        self.url_as(self.user, &self.password)
    }

    /// The connection URL of one of [`ROLES`], password included; `None` for a role that does not exist.
    pub fn url_of(&self, role: &str) -> Option<String> {
        Some(self.url_as(role, self.roles.get(role)?))
    }

    fn url_as(&self, user: &str, password: &str) -> String {
        format!("postgres://{user}:{password}@127.0.0.1:{}/{}", self.port, self.database)
    }
}

/// How the server of `cluster` is started on `port`.
pub(crate) fn specification(cluster: &Cluster, binaries: &Path, port: u16) -> Specification {
    let mut arguments: Vec<OsString> = vec!["-D".into(), cluster.data().into()];
    for setting in settings(cluster, port) {
        arguments.extend(["-c".into(), setting]);
    }
    let port_argument = port.to_string().into();
    Specification {
        name: PROCESS.into(),
        program: binaries.join("postgres"),
        arguments,
        environment: Vec::new(),
        working_directory: cluster.data(),
        stop_signal: StopSignal::Interrupt,
        readiness: Readiness::Command {
            program: binaries.join("pg_isready"),
            arguments: vec!["-q".into(), "-h".into(), "127.0.0.1".into(), "-p".into(), port_argument],
        },
    }
}

/// Whether the server refused because its killed predecessor, or a backend of it, is still about to vanish.
pub(crate) fn is_predecessor_vanishing(error: &process::Error) -> bool {
    let process::Error::EndedEarly { log_tail, .. } = error else { return false };
    log_tail.lines().rev().take(2).any(|line| {
        line.contains("lock file \"postmaster.pid\" already exists")
            || line.contains("pre-existing shared memory block")
    })
}

fn settings(cluster: &Cluster, port: u16) -> Vec<OsString> {
    let sockets: PathBuf = cluster.sockets();
    // A folder too deep for a socket address leaves TCP, which is all that we use ourselves.
    let fits = sockets.as_os_str().len() <= SOCKET_FOLDER_BYTES_MAX;
    let mut socket_setting = OsString::from("unix_socket_directories=");
    if fits {
        socket_setting.push(sockets);
    }
    vec![
        "listen_addresses=127.0.0.1".into(),
        format!("port={port}").into(),
        socket_setting,
        "unix_socket_permissions=0700".into(),
        format!("max_connections={CONNECTIONS_MAX}").into(),
        "fsync=on".into(),
        "synchronous_commit=on".into(),
        "full_page_writes=on".into(),
        "timezone=UTC".into(),
        "log_timezone=UTC".into(),
    ]
}
