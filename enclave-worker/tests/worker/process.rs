//! The binary: measured, started, asked over its socket, and stopped; and what it says when it cannot start.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use nsl_enclave_protocol::{Channel, ChannelOptions, Endpoint, Request, Response};
use nsl_enclave_worker::nsm::software::{DevelopmentRoot, system_time_ms};
use nsl_schemas::authority::Build;
use nsl_schemas::bytes::{Base64, Sha256};
use nsl_schemas::canonical;
use nsl_test_site::{Site, manifest};
use nsl_verify::attestation::{self, Expectation, TrustRoot, VerifyTime};
use tempfile::TempDir;
use tokio::time::Instant;

const BINARY: &str = env!("CARGO_BIN_EXE_nsl-enclave-worker");
/// Far enough not to be met by a healthy run on a busy machine.
const PATIENT: Duration = Duration::from_mins(1);
/// An unprivileged user that every system has.
const NOBODY: u32 = 65_534;

fn measured() -> Build {
    let Output { status, stdout, .. } = Command::new(BINARY).arg("measure").output().unwrap();
    assert!(status.success());
    canonical::from_slice(&stdout).unwrap()
}

/// A folder with the files that a worker is given, as `cargo dev` makes them.
fn folder() -> (TempDir, TrustRoot, Sha256) {
    let folder = tempfile::tempdir().unwrap();
    let root = DevelopmentRoot::generate(system_time_ms()).unwrap();
    let site = Site::of(manifest(Sha256(root.sha256()), vec![measured()]));
    fs::write(folder.path().join("genesis.json"), canonical::to_string(&site.genesis)).unwrap();
    fs::write(folder.path().join("root.pem"), &*root.to_pem()).unwrap();
    fs::write(folder.path().join("sealing-key"), [42; 32]).unwrap();
    (folder, TrustRoot::from_sha256(root.sha256()).unwrap(), site.sha256())
}

fn worker(folder: &Path) -> Command {
    worker_of(Path::new(BINARY), folder)
}

fn worker_of(binary: &Path, folder: &Path) -> Command {
    let mut command = Command::new(binary);
    command.arg("--listen").arg(format!("unix://{}/worker.sock", folder.display()));
    command.arg("--genesis").arg(folder.join("genesis.json"));
    command.arg("--development-nsm-root").arg(folder.join("root.pem"));
    command.arg("--development-sealing-key").arg(folder.join("sealing-key"));
    command
}

/// Ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_measured_binary_serves_until_it_is_told_to_stop() {
    let (folder, trust, genesis_sha256) = folder();
    let mut process = Running(worker(folder.path()).spawn().unwrap());
    let pid = process.0.id();
    let endpoint = Endpoint::Unix { path: folder.path().join("worker.sock") };
    let deadline = Instant::now() + PATIENT;
    let channel = loop {
        match Channel::connect(endpoint.clone(), ChannelOptions::default()).await {
            Ok(channel) => break channel,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
    };
    let request = Request::Register { nonce: Base64(vec![1; 32]) };
    let answer = channel.call(request.to_bytes(), deadline).await.unwrap();
    let Response::Registration { attestation, .. } = Response::from_bytes(&answer).unwrap() else {
        panic!("no registration");
    };
    let Build { pcr0, pcr1, pcr2, .. } = measured();
    let expectation = Expectation::of_manifest([[pcr0.0, pcr1.0, pcr2.0]], genesis_sha256.0);
    let now = VerifyTime::At(system_time_ms());
    let expectation = expectation.answering(vec![1; 32]);
    assert!(attestation::verify(&attestation.0, &expectation, &trust, now).is_ok());

    kill(Pid::from_raw(i32::try_from(pid).unwrap()), Signal::SIGTERM).unwrap();
    assert!(process.0.wait().unwrap().success());
}

/// Runs as an unprivileged user where the tests are privileged, whom nothing would be refused.
fn unprivileged(command: &mut Command) -> &mut Command {
    if nix::unistd::geteuid().is_root() { command.uid(NOBODY).gid(NOBODY) } else { command }
}

/// A worker of an unprivileged user, once it holds its secrets.
fn closed_up() -> (TempDir, Running) {
    let (folder, _, _) = folder();
    // The user may neither read the folders of the tests nor those of the build.
    let binary = folder.path().join("nsl-enclave-worker");
    fs::copy(BINARY, &binary).unwrap();
    for entry in fs::read_dir(folder.path()).unwrap() {
        fs::set_permissions(entry.unwrap().path(), Permissions::from_mode(0o755)).unwrap();
    }
    fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
    let mut command = worker_of(&binary, folder.path());
    let process = unprivileged(command.current_dir(folder.path())).spawn().unwrap();
    let mut process = Running(process);
    await_socket(folder.path(), &mut process);
    (folder, process)
}

/// Waits until the worker listens.
fn await_socket(folder: &Path, process: &mut Running) {
    let deadline = std::time::Instant::now() + PATIENT;
    while !folder.join("worker.sock").exists() {
        assert_eq!(process.0.try_wait().unwrap(), None);
        assert!(std::time::Instant::now() < deadline, "no worker");
        std::thread::yield_now();
    }
}

fn line(text: &str, start: &str) -> String {
    text.lines().find(|line| line.starts_with(start)).unwrap().to_owned()
}

#[test]
fn a_worker_is_closed_up_and_its_secrets_are_locked() {
    let (_folder, process) = closed_up();
    let pid = process.0.id();
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let limit = |name: &str| {
        line(&limits, name)[name.len()..].split_whitespace().take(2).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(limit("Max core file size"), "0 0");
    assert_eq!(limit("Max data size"), "536870912 536870912");
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    assert_eq!(line(&status, "NoNewPrivs:").split_whitespace().nth(1), Some("1"));
    let locked = line(&status, "VmLck:");
    assert_ne!(locked.split_whitespace().nth(1), Some("0"), "{locked}");
    // Its user owns the process and may not look into it all the same.
    let read = unprivileged(Command::new("cat").arg(format!("/proc/{pid}/mem"))).output().unwrap();
    let refusal = String::from_utf8_lossy(&read.stderr);
    assert!(!read.status.success() && refusal.contains("Permission denied"), "{refusal}");
}

#[test]
fn a_worker_that_may_not_lock_its_memory_does_not_start() {
    let (folder, process) = closed_up();
    drop(process);
    let limited = |limit_kib: u32, arguments: &[&str]| {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("ulimit -l {limit_kib}; exec ./nsl-enclave-worker \"$@\"")).arg("sh");
        shell.args(["--listen", "unix://worker.sock", "--genesis", "genesis.json"]).args(arguments);
        unprivileged(shell.current_dir(folder.path())).output().unwrap()
    };
    let says = |output: Output, words: &str| {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && stderr.contains(words), "{words:?} in {stderr}");
    };
    let sealing = ["--development-sealing-key", "sealing-key"];
    says(limited(0, &sealing), "this process may lock 0 bytes");
    // One page is enough for the sealing key, but not for an enclave's NSM.
    says(limited(64, &sealing), "cannot lock all memory");
}

#[test]
fn a_worker_ends_in_good_order_when_whoever_started_it_is_gone() {
    let (folder, _, _) = folder();
    let mut command = worker(folder.path());
    let mut process = Running(command.arg("--until-input-ends").stdin(Stdio::piped()).spawn().unwrap());
    let input = process.0.stdin.take();
    await_socket(folder.path(), &mut process);
    assert_eq!(process.0.try_wait().unwrap(), None);
    drop(input);
    assert!(process.0.wait().unwrap().success());
}

#[test]
fn a_worker_that_aborts_leaves_no_core() {
    let (folder, mut process) = closed_up();
    let before = fs::read_dir(folder.path()).unwrap().count();
    kill(Pid::from_raw(i32::try_from(process.0.id()).unwrap()), Signal::SIGABRT).unwrap();
    let status = process.0.wait().unwrap();
    assert_eq!((status.signal(), status.core_dumped()), (Some(6), false));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), before, "something was left in its folder");
}

fn says(mut command: Command, words: &str) {
    let Output { status, stderr, .. } = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&stderr);
    assert!(!status.success() && stderr.contains(words), "{words:?} in {stderr}");
}

#[test]
fn a_worker_that_cannot_start_says_why() {
    let (folder, _, _) = folder();
    let path = folder.path();
    says(Command::new(BINARY), "--listen <ENDPOINT>");
    fs::write(path.join("sealing-key"), [42; 31]).unwrap();
    says(worker(path), "not exactly 32 bytes");
    fs::write(path.join("root.pem"), "no pem").unwrap();
    fs::write(path.join("sealing-key"), [42; 32]).unwrap();
    says(worker(path), "development root has no private key");
    let other = DevelopmentRoot::generate(system_time_ms()).unwrap();
    fs::write(path.join("root.pem"), &*other.to_pem()).unwrap();
    says(worker(path), "does not meet the genesis manifest");
    fs::write(path.join("genesis.json"), "{}").unwrap();
    says(worker(path), "not a signed manifest");
    fs::remove_file(path.join("genesis.json")).unwrap();
    says(worker(path), "cannot read the genesis file");
}
