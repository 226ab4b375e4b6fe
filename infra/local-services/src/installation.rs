//! A program found on this machine.

use std::path::{Path, PathBuf};

use crate::command;
use crate::user::User;
use crate::version::Version;

/// Where a program was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A folder of `PATH`.
    Path,
    /// The distribution's folder of versioned installations.
    VersionedFolder,
    /// Our own folder of pinned tools.
    Pinned,
}

/// A usable program.
#[derive(Debug, Clone)]
pub struct Installation {
    /// Program file.
    pub program: PathBuf,
    /// The version it reports.
    pub version: Version,
    /// Where it was found.
    pub origin: Origin,
}

impl Installation {
    /// The program, when it runs (as `user`, if given) and tells a version.
    pub(crate) fn examine(program: &Path, origin: Origin, user: Option<&User>) -> Option<Self> {
        if !command::is_executable(program) {
            return None;
        }
        let mut ask = command::prepare(program, user, Path::new("/"));
        ask.arg("--version");
        let version = Version::find_in(&command::run(ask, "").ok()?)?;
        Some(Self { program: program.to_owned(), version, origin })
    }
}
