//! The files of a site: one place that knows where each of them is.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::error::Error;
use crate::private_file::{self, io_error, make_directory};
use crate::user;

/// Held as long as the site is open; the kernel gives it back when its holder dies.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// The folder of a site.
#[derive(Debug, Clone)]
pub struct SiteDirectory {
    path: PathBuf,
}

impl SiteDirectory {
    /// The layout of the site in `path`, which need not exist: for those who only look.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Creates what is missing of the site's folders.
    pub(super) fn create(path: &Path) -> Result<Self, private_file::Error> {
        make_directory(path, 0o700)?;
        let path = path.canonicalize().map_err(io_error("resolve", path))?;
        let directory = Self { path };
        for name in ["configuration", "logs", "run", "secrets", "nats", "neo"] {
            make_directory(&directory.path.join(name), 0o700)?;
        }
        if user::is_root() {
            // The account that runs Postgres must pass through to its data; everything else is in the private
            // folders above.
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(&directory.path, PermissionsExt::from_mode(0o711))
                .map_err(io_error("change the mode of", &directory.path))?;
        }
        Ok(directory)
    }

    /// Takes the site for this process.
    pub(super) fn lock(&self) -> Result<Lock, Error> {
        let path = self.path.join("run/lock");
        let mut options = OpenOptions::new();
        options.create(true).append(true).mode(0o600);
        let file = options.open(&path).map_err(io_error("open", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(Error::InUse { path: self.path.clone() }),
            Err(TryLockError::Error(error)) => Err(io_error("lock", &path)(error).into()),
        }
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of all logs.
    pub fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }

    /// The log of a process.
    pub fn log(&self, process: &str) -> PathBuf {
        self.logs().join(format!("{process}.log"))
    }

    /// The folder of the records of running processes.
    pub fn run(&self) -> PathBuf {
        self.path.join("run")
    }

    /// The record of a running process.
    pub fn process_record(&self, process: &str) -> PathBuf {
        self.run().join(format!("{process}.pid"))
    }

    /// A configuration file of a process.
    pub fn configuration(&self, file_name: &str) -> PathBuf {
        self.path.join("configuration").join(file_name)
    }

    /// A file with one secret.
    pub fn secret(&self, name: &str) -> PathBuf {
        self.path.join("secrets").join(name)
    }

    pub(super) fn settings(&self) -> PathBuf {
        self.path.join("site.json")
    }

    /// Names the tenants of the bus.
    pub(super) fn tenants(&self) -> PathBuf {
        self.path.join("tenants.json")
    }

    pub(crate) fn postgres(&self) -> PathBuf {
        self.path.join("postgres")
    }

    /// Names the folder of the cluster when it cannot be inside the site.
    pub(crate) fn postgres_pointer(&self) -> PathBuf {
        self.path.join("postgres.location")
    }

    pub(crate) fn nats(&self) -> PathBuf {
        self.path.join("nats")
    }

    pub(crate) fn neo(&self) -> PathBuf {
        self.path.join("neo")
    }
}
