//! The binary: measured, started, asked over its socket, and stopped; and what it says when it cannot start.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use nsl_enclave_protocol::{Channel, ChannelOptions, Endpoint, Request, Response};
use nsl_enclave_worker::nsm::software::{DevelopmentRoot, system_time_ms};
use nsl_schemas::authority::{Build, Signed};
use nsl_schemas::bytes::{Base64, Sha256};
use nsl_schemas::canonical;
use nsl_verify::attestation::{self, Expectation, TrustRoot, VerifyTime};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::site::{Site, key};

const BINARY: &str = env!("CARGO_BIN_EXE_nsl-enclave-worker");
/// Far enough not to be met by a healthy run on a busy machine.
const PATIENT: Duration = Duration::from_mins(1);

fn measured() -> Build {
    let Output { status, stdout, .. } = Command::new(BINARY).arg("measure").output().unwrap();
    assert!(status.success());
    canonical::from_slice(&stdout).unwrap()
}

/// A folder with the files that a worker is given, as `cargo dev` makes them.
fn folder() -> (TempDir, TrustRoot, Sha256) {
    let folder = tempfile::tempdir().unwrap();
    let root = DevelopmentRoot::generate(system_time_ms()).unwrap();
    let mut manifest = Site::new().genesis.statement;
    manifest.builds = vec![measured()];
    manifest.attestation_root_sha256 = Sha256(root.sha256());
    let genesis_sha256 = manifest.sha256();
    let genesis = Signed::sign(manifest, &[&key(1)]);
    fs::write(folder.path().join("genesis.json"), canonical::to_string(&genesis)).unwrap();
    fs::write(folder.path().join("root.pem"), &*root.to_pem()).unwrap();
    fs::write(folder.path().join("sealing-key"), [42; 32]).unwrap();
    (folder, TrustRoot::from_sha256(root.sha256()).unwrap(), genesis_sha256)
}

fn worker(folder: &Path) -> Command {
    let mut command = Command::new(BINARY);
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

    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");

    kill(Pid::from_raw(i32::try_from(pid).unwrap()), Signal::SIGTERM).unwrap();
    assert!(process.0.wait().unwrap().success());
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
