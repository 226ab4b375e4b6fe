//! Postgres refuses to run as root: the account it runs as then, and which folders that account can enter.

use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;

use nix::unistd::{Uid, geteuid};

use crate::private_file::{self, io_error};

/// `postgres` where the package is installed, else the account that owns nothing.
const ACCOUNTS: [&str; 2] = ["postgres", "nobody"];

/// An account of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl User {
    /// The account for a program that must not run as root; `None` when we are not root ourselves.
    pub(crate) fn unprivileged() -> Result<Option<Self>, Error> {
        if !geteuid().is_root() {
            return Ok(None);
        }
        for name in ACCOUNTS {
            if let Some(user) = nix::unistd::User::from_name(name).map_err(Error::Lookup)? {
                return Ok(Some(Self { uid: user.uid.as_raw(), gid: user.gid.as_raw() }));
            }
        }
        Err(Error::NoAccount)
    }

    /// Whether the account may pass through `directory` and everything above it.
    pub(crate) fn can_traverse(&self, directory: &Path) -> bool {
        directory.ancestors().all(|ancestor| {
            ancestor.metadata().is_ok_and(|metadata| {
                let shift = if metadata.uid() == self.uid {
                    6
                } else if metadata.gid() == self.gid {
                    3
                } else {
                    0
                };
                metadata.mode() >> shift & 1 == 1
            })
        })
    }

    /// Gives one file or folder to the account.
    pub(crate) fn own(&self, path: &Path) -> Result<(), private_file::Error> {
        chown(path, Some(self.uid), Some(self.gid)).map_err(io_error("change the owner of", path))
    }
}

/// True when this process is root's.
pub(crate) fn is_root() -> bool {
    geteuid() == Uid::from_raw(0)
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read the machine's accounts")]
    Lookup(#[source] nix::Error),
    #[error("neither account postgres nor nobody exists; Postgres cannot run as root")]
    NoAccount,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn closed_ancestor_cannot_be_traversed() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        let stranger = User { uid: 4_294_000_001, gid: 4_294_000_001 };
        for (mode, expected) in [(0o700, false), (0o710, false), (0o711, true)] {
            std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(mode)).unwrap();
            std::fs::set_permissions(&inner, PermissionsExt::from_mode(0o755)).unwrap();
            assert_eq!(stranger.can_traverse(&inner), expected, "mode {mode:o}");
        }
    }
}
