//! Finds the server programs of Postgres, or installs them with apt.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cancellation::Hooks;
use crate::command::{self, find_on_path, is_executable};
use crate::installation::{Installation, Origin};
use crate::user::{self, User};

/// The oldest major version whose behaviour under our locks and partitions was tried.
const MAJOR_MINIMUM: u32 = 15;
/// Debian keeps each major version here; the folder is not on PATH.
const VERSIONED_FOLDERS: &str = "/usr/lib/postgresql";

/// What we need beside the server itself.
const COMPANIONS: [&str; 3] = ["initdb", "pg_isready", "psql"];

/// Postgres can be neither found nor installed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is missing and we may not install it.
    #[error(
        "Postgres {MAJOR_MINIMUM} or newer is missing: install it (Debian: sudo apt-get install postgresql)"
    )]
    Missing,
    /// The data of the site needs a version that is not there.
    #[error("the data of this site was written by Postgres {major}, which is not installed")]
    MajorMissing {
        /// The major version of the data.
        major: u32,
    },
    /// apt-get failed.
    #[error("cannot install Postgres; install version {MAJOR_MINIMUM} or newer yourself")]
    Install(#[source] command::Error),
    /// The account to run it as is missing.
    #[error(transparent)]
    User(#[from] user::Error),
}

/// The newest server that will do, if there is one.
pub(crate) fn find() -> Result<Option<Installation>, Error> {
    Ok(installations()?.into_iter().next())
}

/// The server for data of major version `major`, or the newest when there is no data yet.
pub(crate) fn find_or_install(major: Option<u32>, hooks: &Hooks) -> Result<Installation, Error> {
    if let Some(found) = choose(installations()?, major) {
        return Ok(found);
    }
    if let Some(major) = major {
        return Err(Error::MajorMissing { major });
    }
    if !user::is_root() || find_on_path("apt-get").is_none() {
        return Err(Error::Missing);
    }
    hooks.report("installing postgresql with apt-get");
    install().map_err(Error::Install)?;
    choose(installations()?, None).ok_or(Error::Missing)
}

fn choose(installations: Vec<Installation>, major: Option<u32>) -> Option<Installation> {
    installations.into_iter().find(|found| major.is_none_or(|major| found.version.major == major))
}

/// All servers that will do: the one on PATH first, then the newest.
fn installations() -> Result<Vec<Installation>, Error> {
    // Asked as the account that will run it: a program under root's home would not start for that account.
    let user = User::unprivileged()?;
    let examine = |program: &Path, origin| {
        // PATH may hold a link to the server alone; its companions stand beside the file itself.
        let program = program.canonicalize().ok()?;
        let is_complete = COMPANIONS.iter().all(|name| is_executable(&program.with_file_name(name)));
        is_complete.then(|| Installation::examine(&program, origin, user.as_ref()))?
    };
    let mut found: Vec<Installation> =
        versioned_programs().iter().filter_map(|program| examine(program, Origin::VersionedFolder)).collect();
    found.sort_by_key(|installation| std::cmp::Reverse(installation.version));
    if let Some(on_path) = find_on_path("postgres").and_then(|program| examine(&program, Origin::Path)) {
        found.insert(0, on_path);
    }
    found.retain(|installation| installation.version.major >= MAJOR_MINIMUM);
    Ok(found)
}

fn versioned_programs() -> Vec<PathBuf> {
    let folders = std::fs::read_dir(VERSIONED_FOLDERS).into_iter().flatten().flatten();
    folders.map(|folder| folder.path().join("bin/postgres")).collect()
}

fn install() -> Result<(), command::Error> {
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").args(arguments);
        command::run(command, "").map(drop)
    };
    let install = ["install", "--yes", "--no-install-recommends", "postgresql"];
    // A fresh machine has no package lists yet; one that has them needs no update.
    apt(&install).or_else(|_| apt(&["update"]).and_then(|()| apt(&install)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::Version;

    fn installation(major: u32) -> Installation {
        let version = Version::new(major, 1, 0);
        Installation { program: "postgres".into(), version, origin: Origin::VersionedFolder }
    }

    #[test]
    fn data_chooses_its_own_major_version() {
        let both = || vec![installation(17), installation(15)];
        assert_eq!(choose(both(), None).map(|found| found.version.major), Some(17));
        assert_eq!(choose(both(), Some(15)).map(|found| found.version.major), Some(15));
        assert!(choose(both(), Some(16)).is_none());
    }
}
