//! A worker process on cores of its own, and what it costs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nsl_enclave_protocol::{Channel, ChannelOptions, Endpoint};
use tokio::time::sleep;

use super::core;

/// For measuring itself, attesting and listening.
const START_TIME_LIMIT: Duration = Duration::from_secs(30);
/// Between two attempts to connect to a worker that starts.
const POLL: Duration = Duration::from_millis(20);
/// The kernel counts a process's time in hundredths of a second (`sysconf(_SC_CLK_TCK)` is 100 wherever Linux runs).
const TICK_NS: u64 = 10_000_000;
/// Where user and system time stand behind the name in `/proc/PID/stat`, counted from the state.
const TIMES: std::ops::Range<usize> = 11..13;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot run the worker")]
    Run(#[from] std::io::Error),
    #[error(transparent)]
    Core(#[from] core::Error),
    #[error("worker does not listen")]
    Silent(#[source] nsl_enclave_protocol::channel::Error),
    #[error("the kernel says nothing of the worker")]
    NoFigures,
}

/// A worker; killed when dropped.
pub(super) struct Worker {
    process: Child,
    socket: PathBuf,
}

impl Worker {
    /// Starts `program` in `folder` on one core, as number `number` of its folder.
    pub(super) async fn start(
        program: &Path,
        folder: &Path,
        number: usize,
        core: usize,
    ) -> Result<Self, Error> {
        let socket = folder.join(format!("worker-{number}.sock"));
        let mut command = Command::new(program);
        command.arg("--listen").arg(format!("unix://{}", socket.display()));
        command.arg("--genesis").arg(folder.join("genesis.json"));
        command.arg("--development-nsm-root").arg(folder.join("root.pem"));
        command.arg("--development-sealing-key").arg(folder.join("sealing-key"));
        command.args(["--log-level", "warn"]).stdin(Stdio::null());
        let process = core::run_on(&[core], move || command.spawn())??;
        let worker = Self { process, socket };
        let started = Instant::now();
        loop {
            match worker.connect().await {
                Ok(_) => return Ok(worker),
                Err(error) if started.elapsed() > START_TIME_LIMIT => return Err(Error::Silent(error)),
                Err(_) => sleep(POLL).await,
            }
        }
    }

    /// Where it listens.
    pub(super) fn endpoint(&self) -> Endpoint {
        Endpoint::Unix { path: self.socket.clone() }
    }

    /// One more connection to it.
    pub(super) async fn connect(&self) -> Result<Channel, nsl_enclave_protocol::channel::Error> {
        Channel::connect(self.endpoint(), ChannelOptions::default()).await
    }

    /// Processor time that it used so far.
    pub(super) fn processor_ns(&self) -> Result<u64, Error> {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        let (_, fields) = text.rsplit_once(')').ok_or(Error::NoFigures)?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let times = fields.get(TIMES).ok_or(Error::NoFigures)?;
        let ticks = times.iter().map(|ticks| ticks.parse::<u64>()).sum::<Result<u64, _>>();
        ticks.map(|ticks| ticks * TICK_NS).map_err(|_| Error::NoFigures)
    }

    /// Memory that it has in use.
    pub(super) fn resident_kib(&self) -> Result<u64, Error> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or(Error::NoFigures)?;
        line.trim().trim_end_matches(" kB").parse().map_err(|_| Error::NoFigures)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may be gone already; then there is nothing left to do.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
