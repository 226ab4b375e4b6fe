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
