//! The benchmark `enclave`: signing jobs through the whole channel, from the host's client to worker processes, beside
//! the same primitives in a bare loop. A worker has one core and the load another; all take turns in every run.

mod calls;
mod cases;
mod core;
mod limit;
mod sign_step;
mod site;
mod worker;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::closed_loop::{self, Run};
use crate::report::{self, Line, ratio};

use calls::Callers;
use limit::Limit;
use sign_step::SoftHsm;
use site::Site;
use worker::Worker;

/// Jobs in flight: alone, a few, and many; a worker takes 64 connections, and in one case each has its own.
const IN_FLIGHT: [usize; 3] = [1, 16, MANY];
const MANY: usize = 48;
/// Connections of the case between one and one for each job in flight.
const SOME_CONNECTIONS: usize = 8;
/// Requests prepared; they take turns. So many commands of their own meet no cache but that of the grant's chain.
const JOBS: usize = 10_000;
/// Of one run, and of the warm-up before each case.
const RUN_TIME: Duration = Duration::from_secs(2);
const WARM_UP_TIME: Duration = Duration::from_millis(500);
/// Jobs of one run: more than any worker does in its time.
const RUN_JOBS: usize = 200_000;
/// Figures are the medians of so many runs.
const RUNS: usize = 3;
/// After so many jobs the worker's memory is looked at: the first is what the others are compared with; the last two
/// with `--full` only.
const MEMORY_AT: [u64; 4] = [100_000, 300_000, 1_000_000, 10_000_000];
const MEMORY_AT_SHORT: usize = 2;
/// How long the longest of these may take.
const MEMORY_TIME_LIMIT: Duration = Duration::from_hours(2);

/// How to measure and report.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    /// The worker's program, a release build with the feature `development`
    #[arg(long, env = "NSL_LOAD_WORKER")]
    worker: PathBuf,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// Look at the memory over ten million jobs instead of 300,000
    #[arg(long)]
    full: bool,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("no folder or runtime for the measurement")]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Core(#[from] core::Error),
    #[error(transparent)]
    Site(#[from] site::Error),
    #[error(transparent)]
    Worker(#[from] worker::Error),
    #[error("cannot connect to the worker")]
    Connect(#[from] nsl_enclave_protocol::channel::Error),
    #[error(transparent)]
    Calls(#[from] calls::Error),
    #[error("a job failed")]
    Run(#[from] closed_loop::Error<calls::Error>),
    #[error(transparent)]
    Limit(#[from] limit::Error),
    #[error(transparent)]
    SignStep(#[from] sign_step::Error),
    #[error("cannot write the report")]
    Report(#[from] serde_json::Error),
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Error> {
    let cores = core::available()?;
    let (first, last) = (cores.first().copied().unwrap_or(0), cores.last().copied().unwrap_or(0));
    if first == last {
        eprintln!("there is one core only: worker and load share it");
    }
    if !arguments.json {
        report::head();
    }
    let arguments = arguments.clone();
    core::run_on(&[last], move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let bench = Bench::prepare(arguments, [first, last]).await?;
            bench.sign().await?;
            bench.sign_step()
        })
    })?
}

/// A worker on the first core, the load on the last, and what is to be signed.
struct Bench {
    arguments: Arguments,
    cores: [usize; 2],
    folder: tempfile::TempDir,
    worker: Worker,
    jobs: Arc<[Bytes]>,
    limit: Arc<Limit>,
}

/// What the runs of one case came to.
#[derive(Default)]
struct Runs {
    ours: Vec<Run>,
    peer: Vec<Run>,
    limit: Vec<Run>,
}

impl Bench {
    async fn prepare(arguments: Arguments, cores: [usize; 2]) -> Result<Self, Error> {
        let folder = tempfile::tempdir()?;
        let mut site = Site::prepare(&arguments.worker, folder.path())?;
        let worker = Worker::start(&arguments.worker, folder.path(), 0, cores[0]).await?;
        site.open_wallets(&worker.connect().await?).await?;
        let jobs = site.transfers(JOBS).into();
        Ok(Self { arguments, cores, folder, worker, jobs, limit: Arc::new(Limit::new()?) })
    }

    fn callers(&self, connections: usize, in_flight: usize) -> Result<Callers, Error> {
        Ok(Callers::open(&[self.worker.endpoint()], connections, in_flight, &self.jobs)?)
    }

    /// Everything about whole jobs.
    async fn sign(&self) -> Result<(), Error> {
        let mut whole_window = 0;
        for in_flight in IN_FLIGHT {
            let line = self.beside("enclave.sign", in_flight, 1, in_flight, NOTHING_SHARED).await?;
            whole_window = line.ours;
            line.print(self.arguments.json)?;
        }
        let some = self.beside("enclave.sign.connections", MANY, SOME_CONNECTIONS, 1, ONE_CONNECTION);
        some.await?.print(self.arguments.json)?;
        self.half_load(whole_window / 2).await?.print(self.arguments.json)?;
        for line in self.workers().await? {
            line.print(self.arguments.json)?;
        }
        self.memory().await
    }

    /// `in_flight` jobs over `connections`, beside the same over `peer_connections`, and the limit.
    async fn beside(
        &self,
        bench: &'static str,
        in_flight: usize,
        connections: usize,
        peer_connections: usize,
        peer: &'static str,
    ) -> Result<Line, Error> {
        let ours = self.callers(connections, in_flight)?;
        let others = self.callers(peer_connections, in_flight)?;
        for callers in [&ours, &others] {
            callers.closed(in_flight, RUN_JOBS, WARM_UP_TIME).await?;
        }
        let mut runs = Runs::default();
        for number in 1..=RUNS {
            runs.ours.push(ours.closed(in_flight, RUN_JOBS, RUN_TIME).await?);
            runs.peer.push(others.closed(in_flight, RUN_JOBS, RUN_TIME).await?);
            runs.limit.push(self.bare_loop()?);
            runs.tell(bench, in_flight, number);
        }
        Ok(runs.line(bench, in_flight, peer, limit::NAME.to_owned()))
    }

    /// On the worker's core, which is idle then.
    fn bare_loop(&self) -> Result<Run, Error> {
        Ok(of_rate(self.bare_job()?.0))
    }

    /// Jobs a second, and nanoseconds of processor time for each.
    fn bare_job(&self) -> Result<(u64, u64), Error> {
        let limit = Arc::clone(&self.limit);
        Ok(core::run_on(&[self.cores[0]], move || limit.run())??)
    }
}

/// The peers' names.
const NOTHING_SHARED: &str = "a connection for each job in flight: nothing shares a frame";
const ONE_CONNECTION: &str = "one connection";

/// A figure without latencies.
fn of_rate(per_second: u64) -> Run {
    Run { per_second, p50_us: 0, p99_us: 0 }
}

impl Runs {
    /// Progress, for people.
    fn tell(&self, bench: &str, in_flight: usize, number: usize) {
        let last = |runs: &[Run]| runs.last().map_or(0, |run| run.per_second);
        eprintln!(
            "{bench}, {in_flight} in flight, run {number} of {RUNS}: ours {}, peer {}, limit {} a second",
            last(&self.ours),
            last(&self.peer),
            last(&self.limit)
        );
    }

    fn line(&self, bench: &'static str, clients: usize, peer: &'static str, limit: String) -> Line {
        let (ours, peer_run) = (Run::median(&self.ours), Run::median(&self.peer));
        let limit_value = Run::median(&self.limit).per_second;
        Line {
            bench,
            clients,
            unit: "1/s",
            ours: ours.per_second,
            p50_us: ours.p50_us,
            p99_us: ours.p99_us,
            peer,
            peer_value: peer_run.per_second,
            ratio_to_peer: ratio(ours.per_second, peer_run.per_second),
            limit,
            limit_value,
            ratio_to_limit: ratio(ours.per_second, limit_value),
        }
    }
}
