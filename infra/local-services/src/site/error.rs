//! Everything that can go wrong with a site.

use std::path::PathBuf;

use crate::{port, postgres, private_file, process, tools};

/// A site could not be opened, or one of its processes not be controlled.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Somebody else has it open.
    #[error("the site in {} is in use by another process", path.display())]
    InUse {
        /// Its folder.
        path: PathBuf,
    },
    /// There is no process of this name.
    #[error("the site has no process called {name}")]
    UnknownProcess {
        /// The asked name.
        name: String,
    },
    /// `site.json` is not what we write.
    #[error("{} is damaged; remove it to have new ports chosen", path.display())]
    Settings {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        #[source]
        source: serde_json::Error,
    },
    /// `tenants.json` is not what we write.
    #[error("{} is damaged", path.display())]
    Tenants {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        #[source]
        source: serde_json::Error,
    },
    /// A tenant cannot have this name.
    #[error("tenant {name:?}: expected 1 to 64 characters of A-Z a-z 0-9 _ -, and not \"system\"")]
    TenantName {
        /// The name, cut to a printable length.
        name: String,
    },
    /// The bus could not be told to read its configuration.
    #[error("cannot have nats-server read its configuration again")]
    Reload(#[source] nix::Error),
    /// The bus does not let a tenant in that was given an account.
    #[error("nats-server does not take up the account of tenant {name}; its log says why")]
    TenantNotTakenUp {
        /// The tenant.
        name: String,
    },
    /// No temporary folder could be created.
    #[error("cannot create a temporary folder")]
    TemporaryFolder(#[source] std::io::Error),
    /// No port could be chosen.
    #[error(transparent)]
    Port(#[from] port::Error),
    /// A program is missing.
    #[error(transparent)]
    Tools(#[from] tools::Error),
    /// Postgres is missing.
    #[error(transparent)]
    Locate(#[from] postgres::LocateError),
    /// The Postgres cluster could not be created or found.
    #[error(transparent)]
    Cluster(#[from] postgres::ClusterError),
    /// A process could not be controlled.
    #[error(transparent)]
    Process(#[from] process::Error),
    /// A file or folder could not be used.
    #[error(transparent)]
    File(#[from] private_file::Error),
}
