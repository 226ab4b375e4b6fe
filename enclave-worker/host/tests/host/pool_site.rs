//! A site whose host starts its workers: real worker processes of three builds, jobs to keep them busy, and a look at
//! what the host says of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use nsl_schemas::authority::Build;
use nsl_schemas::bytes::Pcr;
use nsl_schemas::canonical;
use nsl_schemas::command::wallet::RecordOutcome;
use nsl_schemas::outcome::JobResult;
use nsl_schemas::query::{HostStatus, Reply, WorkerState};
use nsl_schemas::streams;
use tokio::sync::MutexGuard;
use uuid::Uuid;

use crate::commands::{Bus, TURN};
use crate::site::{Host, Site};

/// Far enough not to be met by a healthy run on a busy machine.
const PATIENT: Duration = Duration::from_mins(2);
/// Jobs open at once: more than all workers do at a time.
const OPEN: usize = 12;
/// Builds: two that the site allows and one that it does not.
const BUILDS: [&str; 3] = ["build-1", "build-2", "build-3"];

/// What a test wants of `[pool]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pool<'a> {
    pub(crate) size: usize,
    /// Which program; none of the builds is run as it is, with no arguments.
    pub(crate) build: &'a str,
    /// The manifest that workers obey.
    pub(crate) genesis: &'a str,
    pub(crate) start_timeout_ms: u64,
}

impl Default for Pool<'_> {
    fn default() -> Self {
        Self { size: 2, build: "build-1", genesis: "genesis.json", start_timeout_ms: 60_000 }
    }
}

pub(crate) struct PoolSite {
    pub(crate) site: Site,
    bus: Bus,
    pub(crate) host: Host,
    admin: String,
    pcr0: BTreeMap<&'static str, Pcr>,
    open: BTreeSet<Uuid>,
    done: usize,
    outside: Vec<Child>,
    _turn: MutexGuard<'static, ()>,
}

/// The worker's program beside the host's.
fn worker_program() -> Option<PathBuf> {
    let program = Path::new(env!("CARGO_BIN_EXE_nsl-enclave-host")).with_file_name("nsl-enclave-worker");
    if program.exists() {
        return Some(program);
    }
    println!("SKIPPED: no {}: cargo build -p nsl-enclave-worker --features development", program.display());
    None
}

impl PoolSite {
    /// A site with its host; none (said aloud) where the parts are missing. `outside` names workers that the test starts.
    pub(crate) async fn start(pool: Pool<'_>, outside: &[&str]) -> Option<Self> {
        let Ok(url) = std::env::var("NSL_TEST_NATS_URL") else {
            println!("SKIPPED: set NSL_TEST_NATS_URL to a nats-server with JetStream to run this test");
            return None;
        };
        let program = worker_program()?;
        let turn = TURN.lock().await;
        let bus = Bus::start(&url).await;
        let folder = tempfile::tempdir().unwrap();
        let mut builds = Vec::new();
        for (index, name) in BUILDS.into_iter().enumerate() {
            let build = folder.path().join(name);
            fs::copy(&program, &build).unwrap();
            // Bytes behind the program do not change what it does, and do change its measurement.
            fs::OpenOptions::new().append(true).open(&build).unwrap().write_all(&vec![0; index]).unwrap();
            let measured = Command::new(&build).arg("measure").output().unwrap();
            assert!(measured.status.success(), "a worker without `measure`: {measured:?}");
            builds.push(canonical::from_slice::<Build>(measured.stdout.trim_ascii_end()).unwrap());
        }
        let pcr0 = BUILDS.into_iter().zip(builds.iter().map(|build| build.pcr0)).collect();
        let disallowed = builds.pop().unwrap();
        let site = Site::of(builds);
        site.another_genesis("other.json", disallowed);
        for name in BUILDS {
            fs::rename(folder.path().join(name), site.path().join(name)).unwrap();
        }
        let admin = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        write_pool(site.path(), pool);
        let mut command = site.host_command(&url, outside);
        command.arg("--config").arg(site.path().join("host.toml"));
        let settings = [
            format!("telemetry.admin_address={admin}"),
            "jobs.call_timeout_ms=5000".into(),
            "workers.ping_interval_ms=300".into(),
            "workers.ping_timeout_ms=2000".into(),
        ];
        let host = Site::run(command, &settings);
        let outside = outside.iter().map(|name| site.outside_worker(name)).collect();
        let (open, done) = (BTreeSet::new(), 0);
        Some(Self { site, bus, host, admin, pcr0, open, done, outside, _turn: turn })
    }

    /// PCR0 of a build.
    pub(crate) fn pcr0(&self, build: &str) -> Pcr {
        self.pcr0[build]
    }

    /// Changes `[pool]` and tells the host to read it.
    pub(crate) fn replace_workers(&self, pool: Pool<'_>) {
        write_pool(self.site.path(), pool);
        self.host.signal(Signal::SIGHUP);
    }

    /// What the host says of its workers; none before it answers.
    pub(crate) async fn status(&self) -> Option<HostStatus> {
        let asked = self.bus.client.request("nsl.v1.qry.system.workers", "{}".into()).await.ok()?;
        let Reply::Ok(status) = canonical::from_slice(&asked.payload).unwrap() else { panic!("{asked:?}") };
        Some(status)
    }

    /// Keeps jobs open until the host's status is as it shall be and this many jobs were done meanwhile.
    pub(crate) async fn work_until(
        &mut self,
        what: &str,
        jobs: usize,
        is_reached: impl Fn(&HostStatus) -> bool,
    ) -> HostStatus {
        let deadline = tokio::time::Instant::now() + PATIENT;
        let goal = self.done + jobs;
        loop {
            while self.open.len() < OPEN {
                let job = self.site.create_key_job();
                self.bus.publish_job("create-key", canonical::to_string(&job).into_bytes()).await;
                self.open.insert(job.job_id);
            }
            // Without workers there are no outcomes to wait for.
            let _ = tokio::time::timeout(Duration::from_millis(50), self.settle_one()).await;
            let status = self.status().await;
            match status {
                Some(status) if self.done >= goal && is_reached(&status) => return status,
                status => {
                    assert!(tokio::time::Instant::now() < deadline, "{what}: {status:?}, {} done", self.done);
                }
            }
        }
    }

    /// Every job that was published has its outcome.
    pub(crate) async fn finish(&mut self) {
        let all = async {
            while !self.open.is_empty() {
                self.settle_one().await;
            }
        };
        tokio::time::timeout(PATIENT, all).await.unwrap();
        self.bus.holds(streams::JOBS, 0).await;
    }

    async fn settle_one(&mut self) {
        let command = self.bus.command().await;
        if !command.subject.to_string().ends_with(".record-outcome") {
            return;
        }
        let RecordOutcome { outcome } = canonical::from_slice(&command.payload).unwrap();
        assert!(matches!(outcome.result, JobResult::KeyCreated { .. }), "{outcome:?}");
        if self.open.remove(&outcome.statement.job_id) {
            self.done += 1;
        }
    }

    /// A metric of the host, 0 before it is told.
    pub(crate) fn metric(&self, name_and_labels: &str) -> u64 {
        let mut stream = TcpStream::connect(&self.admin).unwrap();
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: host\r\nConnection: close\r\n\r\n").unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        let value = page.lines().find_map(|line| line.strip_prefix(name_and_labels));
        value.map_or(0, |value| value.trim().parse().unwrap())
    }

    /// Jobs that were put off.
    pub(crate) fn put_off(&self) -> u64 {
        self.metric("nsl_enclave_jobs_total{kind=\"create-key\",result=\"retried\"}")
    }

    /// The process that listens at a socket of this site.
    pub(crate) fn process_of(&self, socket: &str) -> Pid {
        self.processes().into_iter().find(|(_, command)| command.contains(socket)).unwrap().0
    }

    /// The worker processes of this site with their command lines.
    pub(crate) fn processes(&self) -> Vec<(Pid, String)> {
        let socket = format!("unix://{}", self.site.path().display());
        let entries = fs::read_dir("/proc").unwrap().flatten();
        entries
            .filter_map(|entry| {
                let pid = entry.file_name().to_str()?.parse().ok()?;
                let command = fs::read(entry.path().join("cmdline")).ok()?;
                let command = String::from_utf8_lossy(&command).replace('\0', " ");
                (command.contains("--listen") && command.contains(&socket))
                    .then(|| (Pid::from_raw(pid), command))
            })
            .collect()
    }
}

impl Drop for PoolSite {
    fn drop(&mut self) {
        for worker in &mut self.outside {
            let _ = worker.kill();
            let _ = worker.wait();
        }
    }
}

/// The configuration file that the host reads again.
fn write_pool(folder: &Path, pool: Pool<'_>) {
    let Pool { size, build, genesis, start_timeout_ms } = pool;
    let arguments = if BUILDS.contains(&build) {
        let socket = folder.join("worker-{number}.sock");
        let mut command = vec![folder.join(build).display().to_string()];
        command.extend(arguments(folder, &format!("unix://{}", socket.display()), genesis));
        command.push("--until-input-ends".into());
        command
    } else {
        vec![build.to_owned()]
    };
    let mut text = format!("[pool]\nsize = {size}\nstart_timeout_ms = {start_timeout_ms}\n");
    writeln!(text, "command = {}", serde_json::to_string(&arguments).unwrap()).unwrap();
    writeln!(text, "endpoint = \"unix://{}/worker-{{number}}.sock\"", folder.display()).unwrap();
    writeln!(text, "restart_pause_min_ms = 50\nrestart_pause_max_ms = 1600").unwrap();
    fs::write(folder.join("host.toml"), text).unwrap();
}

fn arguments(folder: &Path, listen: &str, genesis: &str) -> Vec<String> {
    let file = |name: &str| folder.join(name).display().to_string();
    let flags = [
        ("--listen", listen.to_owned()),
        ("--genesis", file(genesis)),
        ("--development-nsm-root", file("root.pem")),
        ("--development-sealing-key", file("sealing-key")),
        ("--log-level", "error".to_owned()),
    ];
    flags.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]).collect()
}

impl Site {
    /// A worker that nobody but the test starts.
    fn outside_worker(&self, name: &str) -> Child {
        let listen = self.endpoint(name).to_string();
        let mut command = Command::new(self.path().join("build-1"));
        command.args(arguments(self.path(), &listen, "genesis.json")).stdin(Stdio::null()).spawn().unwrap()
    }
}

/// Sends a signal.
pub(crate) fn signal(process: Pid, signal: Signal) {
    kill(process, signal).unwrap();
}

/// How many workers serve.
pub(crate) fn serving(status: &HostStatus) -> usize {
    status.workers.iter().filter(|worker| worker.state == WorkerState::Serving).count()
}

/// Whether so many workers serve, all of this build, and there are no others.
pub(crate) fn all_serve(status: &HostStatus, size: usize, pcr0: Pcr) -> bool {
    status.workers.len() == size
        && serving(status) == size
        && status.workers.iter().all(|worker| worker.pcr0 == Some(pcr0))
}
