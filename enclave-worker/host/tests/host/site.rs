//! A site in a folder: genesis and seed files, jobs, workers on sockets, and the host's process.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use nsl_enclave_protocol::{Endpoint, Listener, ServerLimits, serve};
use nsl_enclave_worker::nsm::software::{DevelopmentRoot, SoftwareNsm, system_time_ms};
use nsl_enclave_worker::seal::SealingKey;
use nsl_enclave_worker::{Genesis, Worker};
use nsl_schemas::authority::Build;
use nsl_schemas::bytes::{Pcr, Sha256};
use nsl_schemas::canonical;
use nsl_schemas::job::{EnclaveJob, EnclaveTask};
use nsl_schemas::nkey::SigningKey;
use nsl_test_site::{Order, manifest, policy};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const MEASUREMENTS: [[u8; 48]; 3] = [[0xa0; 48], [0xa1; 48], [0xa2; 48]];

pub(crate) struct Site {
    folder: TempDir,
    root_pem: String,
    log: nsl_test_site::Site,
}

impl Site {
    pub(crate) fn new() -> Self {
        let [pcr0, pcr1, pcr2] = MEASUREMENTS.map(Pcr);
        Self::of(vec![Build { name: "test".into(), pcr0, pcr1, pcr2 }])
    }

    /// A site that allows these builds.
    pub(crate) fn of(builds: Vec<Build>) -> Self {
        let root = DevelopmentRoot::generate(system_time_ms()).unwrap();
        let log = nsl_test_site::Site::of(manifest(Sha256(root.sha256()), builds));
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("genesis.json"), canonical::to_string(&log.genesis)).unwrap();
        let seed = folder.path().join("seed");
        fs::write(&seed, &*SigningKey::seed_text(&[4; 32])).unwrap();
        fs::set_permissions(seed, Permissions::from_mode(0o600)).unwrap();
        let root_pem = root.to_pem().to_string();
        fs::write(folder.path().join("root.pem"), &root_pem).unwrap();
        fs::write(folder.path().join("sealing-key"), [42; 32]).unwrap();
        Self { folder, root_pem, log }
    }

    /// A manifest of the same root for another build, which this site's host does not know.
    pub(crate) fn another_genesis(&self, file: &str, build: Build) {
        let root_sha256 = self.log.genesis.statement.attestation_root_sha256;
        let other = nsl_test_site::Site::of(manifest(root_sha256, vec![build]));
        fs::write(self.folder.path().join(file), canonical::to_string(&other.genesis)).unwrap();
    }

    /// Where its files are.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Where the worker of this name listens.
    pub(crate) fn endpoint(&self, name: &str) -> Endpoint {
        Endpoint::Unix { path: self.folder.path().join(format!("{name}.sock")) }
    }

    /// Starts a worker of this site.
    pub(crate) async fn worker_at(&self, endpoint: &Endpoint) -> RunningWorker {
        let root = DevelopmentRoot::from_pem(self.root_pem.as_bytes()).unwrap();
        let nsm = SoftwareNsm::boot(root, MEASUREMENTS, Box::new(system_time_ms)).unwrap();
        let genesis = Genesis::obey(self.log.genesis.clone()).unwrap();
        let sealing_key = SealingKey::derive(&[42; 32], genesis.sha256()).unwrap();
        let worker = Arc::new(Worker::start(genesis, Box::new(nsm), sealing_key).await.unwrap());
        let listener = Listener::bind(endpoint).await.unwrap();
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let task = tokio::spawn(async move {
            let answer = move |request: Vec<u8>| {
                let worker = Arc::clone(&worker);
                async move { worker.answer(&request).await }
            };
            serve(listener, answer, ServerLimits::default(), stopped).await.unwrap();
        });
        RunningWorker { stop, task }
    }

    /// Starts the host with these workers and no pool.
    pub(crate) fn host(&self, nats_url: &str, workers: &[&str]) -> Host {
        let command = self.host_command(nats_url, workers);
        Self::run(
            command,
            &["telemetry.admin_address=127.0.0.1:0".into(), "jobs.call_timeout_ms=2000".into()],
        )
    }

    /// The host with these workers and what else it cannot do without.
    pub(crate) fn host_command(&self, nats_url: &str, workers: &[&str]) -> Command {
        let endpoints: Vec<String> = workers.iter().map(|name| self.endpoint(name).to_string()).collect();
        let folder = self.folder.path().display();
        let mut command = Command::new(env!("CARGO_BIN_EXE_nsl-enclave-host"));
        let settings = [
            format!("issuer.seed_file={folder}/seed"),
            format!("genesis.file={folder}/genesis.json"),
            format!("workers.endpoints={}", serde_json::to_string(&endpoints).unwrap()),
            format!("bus.url={nats_url}"),
            "jobs.lanes_per_kind=2".to_owned(),
            "jobs.retry_delay_ms=50".to_owned(),
        ];
        set(&mut command, &settings);
        command
    }

    /// Runs the host with further settings.
    pub(crate) fn run(mut command: Command, settings: &[String]) -> Host {
        set(&mut command, settings);
        Host(command.spawn().unwrap())
    }

    /// The job of a command that creates a wallet.
    pub(crate) fn create_key_job(&self) -> EnclaveJob {
        let order = Order::create(policy(), system_time_ms()).with_id(Uuid::now_v7());
        self.log.job(order, EnclaveTask::CreateKey)
    }
}

fn set(command: &mut Command, settings: &[String]) {
    for setting in settings {
        command.arg("--set").arg(setting);
    }
}

/// A worker within the test's process.
pub(crate) struct RunningWorker {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl RunningWorker {
    /// Ends it; its key is gone with it.
    pub(crate) async fn end(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

/// The host's process; ends with the test.
pub(crate) struct Host(Child);

impl Host {
    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.0.id()).unwrap()), signal).unwrap();
    }

    /// Waits for its end.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        self.0.wait().unwrap()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
