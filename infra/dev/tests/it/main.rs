//! The command line as a person uses it, on real parts, in a workspace of its own.
#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test by panicking")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use nsl_local_services::{Identity, Tools};
use tempfile::TempDir;

/// Far beyond what any awaited condition takes: reaching it is a failure, not a slow machine.
const PATIENCE: Duration = Duration::from_mins(1);

struct Workspace {
    folder: TempDir,
}

impl Workspace {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("Cargo.toml"), "[workspace]\n").unwrap();
        Self { folder }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nsl-dev"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("NSL_TOOLS_DIR", Tools::from_environment().unwrap().directory())
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str], exit_code: i32) -> String {
        let output: Output = self.command(arguments).output().unwrap();
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        assert_eq!(output.status.code(), Some(exit_code), "{arguments:?}: {text}");
        text
    }

    fn runner(&self) -> PathBuf {
        self.folder.path().join(".nsl/site/run/runner.json")
    }

    /// The runner and its three parts.
    fn identities(&self) -> Vec<Identity> {
        let run = self.runner().with_file_name("");
        let part = |name: &str| {
            let record = std::fs::read_to_string(run.join(format!("{name}.pid"))).unwrap();
            Identity::from_json(&record).unwrap()
        };
        let mut identities = vec![identity_of_runner(&self.runner())];
        identities.extend(["postgres", "nats", "neo"].map(part));
        assert!(identities.iter().all(Identity::is_alive));
        identities
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        let _ = self.command(&["down"]).output();
        let _ = self.command(&["reset", "--yes"]).output();
    }
}

fn identity_of_runner(record: &Path) -> Identity {
    let record: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(record).unwrap()).unwrap();
    serde_json::from_value(record["identity"].clone()).unwrap()
}

fn await_end(identities: &[Identity]) {
    let deadline = Instant::now() + PATIENCE;
    while identities.iter().any(Identity::is_alive) {
        assert!(Instant::now() < deadline, "not ended within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn signal(identity: &Identity, signal: nix::sys::signal::Signal) {
    let id = nix::unistd::Pid::from_raw(identity.id.try_into().unwrap());
    nix::sys::signal::kill(id, signal).unwrap();
}

#[test]
fn site_runs_in_the_background_until_down_and_keeps_its_endpoints() {
    let workspace = Workspace::new();
    assert!(workspace.run(&["status"], 5).contains("Not running"));
    let first = workspace.run(&["up", "--parts-only"], 0);
    for expected in ["postgres://nsl:", "nats://tenant-demo:", "http://127.0.0.1:", "Try:"] {
        assert!(first.contains(expected), "{first}");
    }
    assert!(workspace.run(&["status"], 0).contains("neo "));
    assert!(workspace.run(&["up", "--parts-only"], 0).contains("Already running"));
    assert!(workspace.run(&["reset", "--yes"], 6).contains("cargo dev down"));
    assert!(workspace.run(&["logs", "postgres"], 0).contains("ready to accept connections"));
    assert!(workspace.run(&["logs", "moon"], 5).contains("no such log"));
    assert!(workspace.run(&["doctor"], 0).contains("running, 3 processes"));

    let identities = workspace.identities();
    workspace.run(&["down"], 0);
    assert!(!identities.iter().any(Identity::is_alive), "down returns when everything has ended");

    let second = workspace.run(&["up", "--parts-only"], 0);
    let endpoints =
        |text: &str| text.lines().filter(|line| line.contains("://")).map(str::to_owned).collect();
    let (first, second): (Vec<String>, Vec<String>) = (endpoints(&first), endpoints(&second));
    assert_eq!(second, first);
    workspace.run(&["down"], 0);
    assert!(workspace.run(&["reset"], 6).contains("--yes"));
    workspace.run(&["reset", "--yes"], 0);
    assert!(!workspace.folder.path().join(".nsl/site").exists());
}

#[test]
fn ended_part_is_started_again_and_a_killed_runner_takes_all_with_it() {
    let workspace = Workspace::new();
    workspace.run(&["up", "--parts-only"], 0);
    let before = workspace.identities();
    signal(&before[2], nix::sys::signal::Signal::SIGKILL);
    let record = workspace.runner().with_file_name("nats.pid");
    let deadline = Instant::now() + PATIENCE;
    let is_back = || {
        let text = std::fs::read_to_string(&record).unwrap_or_default();
        Identity::from_json(&text).is_some_and(|identity| identity != before[2] && identity.is_alive())
    };
    while !is_back() {
        assert!(Instant::now() < deadline, "nats was not started again");
        std::thread::sleep(Duration::from_millis(10));
    }

    let identities = workspace.identities();
    signal(&identities[0], nix::sys::signal::Signal::SIGKILL);
    await_end(&identities);
    assert!(workspace.run(&["doctor"], 1).contains("ended without stopping"));
    workspace.run(&["up", "--parts-only"], 0);
    workspace.run(&["down"], 0);
}

#[test]
fn interrupt_in_the_foreground_stops_everything_in_good_order() {
    let workspace = Workspace::new();
    let mut command = workspace.command(&["up", "--foreground", "--parts-only"]);
    let mut foreground = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + PATIENCE;
    let is_ready =
        || std::fs::read_to_string(workspace.runner()).is_ok_and(|text| text.contains("\"ready\""));
    while !is_ready() {
        assert!(Instant::now() < deadline, "not ready within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
    let identities = workspace.identities();
    signal(&identities[0], nix::sys::signal::Signal::SIGINT);
    assert_eq!(foreground.wait().unwrap().code(), Some(0));
    assert!(!identities.iter().any(Identity::is_alive));
    let log = workspace.run(&["logs", "postgres"], 0);
    assert!(log.contains("database system is shut down"), "a stop in good order: {log}");
}

#[test]
fn commands_outside_a_workspace_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let output =
        Command::new(env!("CARGO_BIN_EXE_nsl-dev")).arg("status").current_dir(&folder).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("not inside the workspace"));
}
