//! A home folder of its own for each test, and the program running in it.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

pub(crate) struct Home {
    folder: TempDir,
}

/// What a run left behind.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}{}", self.stdout, self.stderr))
    }
}

impl Home {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn nsl<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Run {
        self.nsl_reading("", arguments)
    }

    pub(crate) fn nsl_reading<A: AsRef<OsStr>>(&self, input: &str, arguments: &[A]) -> Run {
        let mut child = Command::new(env!("CARGO_BIN_EXE_nsl"))
            .args(arguments)
            .env_clear()
            .env("HOME", self.folder.path())
            .env("XDG_CONFIG_HOME", self.path("config"))
            .env("XDG_STATE_HOME", self.path("state"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A program that never reads its input closes the pipe, which is no failure of the test.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        Run {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// A context with a fresh issuer key.
    pub(crate) fn add_context(&self, url: &str, tenant: &str) {
        let seed = self.path("issuer.seed");
        let seed = seed.to_str().unwrap();
        assert_eq!(self.nsl(&["key", "generate", "--out", seed]).code, 0);
        let added = self.nsl(&["context", "add", "test", "--url", url, "--tenant", tenant, "--issuer", seed]);
        assert_eq!(added.code, 0, "{}", added.stderr);
    }
}
