//! Starts workers and keeps as many of them serving as `[pool]` says; replaces all of them, one at a time, when it is
//! told to read `[pool]` again (SIGHUP).
//!
//! A worker serves once the gatekeeper has admitted its connection, so no build gets jobs here that the site does not
//! allow. A replacement whose workers fail is halted and taken back: what served before serves again.

mod blueprint;
mod board;
mod plan;
mod process;

use std::sync::Arc;
use std::time::Duration;

use nsl_enclave_protocol::channel::{Backoff, Health};
use nsl_enclave_protocol::pool::{self, MemberHealth};
use nsl_enclave_protocol::{Endpoint, Pool, endpoint};
use nsl_schemas::query::Rollout;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(crate) use blueprint::Blueprint;
pub(crate) use blueprint::Error as BlueprintError;
pub(crate) use board::Board;

use crate::config::PoolConfig;
use crate::metrics::Metrics;
use crate::pings::{Pings, why_not_connected};
use crate::views::Views;
use board::Content;
use plan::{Phase, Step, View};
use process::Process;

/// Between two looks at the workers: nobody waits for less.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Reads `[pool]` anew.
pub type Reload = Box<dyn Fn() -> Result<PoolConfig, nsl_config::Error> + Send>;

/// How the launcher is told to replace all workers.
pub(crate) struct Orders {
    hangups: Signal,
    reload: Reload,
}

impl Orders {
    /// Listens from now on: before that, SIGHUP ends a process.
    pub(crate) fn listen(reload: Reload) -> std::io::Result<Self> {
        Ok(Self { hangups: signal(SignalKind::hangup())?, reload })
    }
}

/// Why a worker could not be started.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error("pool.endpoint")]
    Endpoint(#[from] endpoint::Error),
    #[error("cannot run {program}")]
    Run {
        program: String,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    Pool(#[from] pool::Error),
}

/// Why a worker that was wanted is no longer there; the metric's label.
#[derive(Debug, Clone, Copy)]
enum Failure {
    NotStarted,
    NotAdmitted,
    Ended,
    Unresponsive,
}

impl Failure {
    fn label(self) -> &'static str {
        match self {
            Self::NotStarted => "not_started",
            Self::NotAdmitted => "not_admitted",
            Self::Ended => "ended",
            Self::Unresponsive => "unresponsive",
        }
    }
}

/// One way of starting workers, numbered.
#[derive(Debug, Clone)]
struct Generation {
    number: u64,
    blueprint: Blueprint,
}

#[derive(Debug)]
struct Worker {
    number: u32,
    generation: u64,
    endpoint: Endpoint,
    process: Process,
    phase: Phase,
    /// The beginning of its phase.
    since: Instant,
}

impl Worker {
    fn enter(&mut self, phase: Phase, now: Instant) {
        tracing::info!(endpoint = %self.endpoint, generation = self.generation, ?phase, "worker");
        (self.phase, self.since) = (phase, now);
    }
}

/// Keeps the pool as it shall be.
pub(crate) struct Launcher {
    pool: Pool,
    /// What is not to be lost before it was handed on.
    pool_views: Arc<Views>,
    pings: Pings,
    metrics: Metrics,
    board: Board,
    orders: Orders,
    /// What is known to work, or was there first.
    current: Generation,
    /// What is to take its place.
    candidate: Option<Generation>,
    rollout: Rollout,
    generations: u64,
    workers: Vec<Worker>,
    backoff: Backoff,
    start_not_before: Instant,
    last_error: Option<String>,
}

impl Launcher {
    /// A launcher that has not begun.
    pub(crate) fn new(
        pool: Pool,
        pool_views: Arc<Views>,
        pings: Pings,
        metrics: Metrics,
        board: Board,
        blueprint: Blueprint,
        orders: Orders,
    ) -> Self {
        let backoff = Backoff::new(blueprint.restart_pause_min, blueprint.restart_pause_max);
        Self {
            pool,
            pool_views,
            pings,
            metrics,
            board,
            orders,
            current: Generation { number: 1, blueprint },
            candidate: None,
            rollout: Rollout::None,
            generations: 1,
            workers: vec![],
            backoff,
            start_not_before: Instant::now(),
            last_error: None,
        }
    }

    /// Keeps workers running until `stop`, then ends them in good order.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut looks = tokio::time::interval(LOOK_INTERVAL);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = self.orders.hangups.recv() => self.begin_rollout(),
                _ = looks.tick() => {}
            }
            self.look(Instant::now());
        }
        self.workers.iter_mut().for_each(|worker| worker.process.stop());
        let deadline = Instant::now() + self.wanted().blueprint.stop_timeout;
        while self.workers.iter_mut().any(|worker| worker.process.ended().is_none())
            && Instant::now() < deadline
        {
            looks.tick().await;
        }
        // What is left is killed when it is dropped.
    }

    fn wanted(&self) -> &Generation {
        self.candidate.as_ref().unwrap_or(&self.current)
    }

    fn begin_rollout(&mut self) {
        let read = (self.orders.reload)().map_err(|error| error.to_string());
        match read.and_then(|config| Blueprint::new(&config).map_err(|error| error.to_string())) {
            Ok(blueprint) => {
                self.generations += 1;
                tracing::info!(generation = self.generations, "replacing all workers");
                self.backoff = Backoff::new(blueprint.restart_pause_min, blueprint.restart_pause_max);
                self.candidate = Some(Generation { number: self.generations, blueprint });
                self.rollout = Rollout::UnderWay;
                self.start_not_before = Instant::now();
            }
            Err(error) => tracing::error!(error, "configuration is refused; the pool stays as it is"),
        }
    }

    /// Learns what became of the workers, and makes one step.
    fn look(&mut self, now: Instant) {
        self.reap(now);
        let health = self.pool.health();
        for index in 0..self.workers.len() {
            self.advance(index, &health, now);
        }
        self.finish_rollout();
        let Generation { number, blueprint } = self.wanted();
        match plan::next(blueprint.size, *number, &self.views()) {
            Step::Start if now >= self.start_not_before => self.start(now),
            // A replacement must not be quicker than the pool's view: each worker that leaves is left by it first.
            Step::Drain(number) if self.pool_views.may_lose_one() => self.drain(number, now),
            Step::Start | Step::Drain(_) | Step::Rest => {}
        }
        self.tell();
    }

    fn views(&self) -> Vec<View> {
        let view = |worker: &Worker| {
            let Worker { number, generation, phase, .. } = *worker;
            View { number, generation, phase }
        };
        self.workers.iter().map(view).collect()
    }

    /// Forgets the processes that ended.
    fn reap(&mut self, now: Instant) {
        let mut index = 0;
        while let Some(worker) = self.workers.get_mut(index) {
            let Some(status) = worker.process.ended() else {
                index += 1;
                continue;
            };
            let worker = self.workers.remove(index);
            self.pool.remove(&worker.endpoint);
            tracing::info!(endpoint = %worker.endpoint, status, "worker's process ended");
            if matches!(worker.phase, Phase::Starting | Phase::Serving) {
                let cause = format!("{}: process ended: {status}", worker.endpoint);
                self.failed(worker.generation, Failure::Ended, lived(&worker, now), cause, now);
            }
        }
    }

    /// Moves a worker to its next phase when its time has come.
    fn advance(&mut self, index: usize, health: &[MemberHealth], now: Instant) {
        let blueprint = &self.wanted().blueprint;
        let Blueprint { start_timeout, drain_timeout, stop_timeout, .. } = *blueprint;
        let Some(worker) = self.workers.get_mut(index) else { return };
        let age = now.saturating_duration_since(worker.since);
        let member = health.iter().find(|member| member.endpoint == worker.endpoint);
        let is_ready = member.is_some_and(|member| matches!(member.connection, Health::Ready));
        match worker.phase {
            Phase::Starting if is_ready => {
                self.pings.forget(&worker.endpoint);
                worker.enter(Phase::Serving, now);
            }
            Phase::Starting if age > start_timeout => {
                let cause = member.and_then(why_not_connected).unwrap_or_default();
                self.give_up(index, Failure::NotAdmitted, &cause, now);
            }
            Phase::Serving if self.pings.is_given_up(&worker.endpoint) => {
                self.give_up(index, Failure::Unresponsive, "does not answer pings", now);
            }
            Phase::Draining
                if age > drain_timeout
                    || (member.is_none_or(|member| member.outstanding == 0)
                        && !self.pool_views.needs(&worker.endpoint)) =>
            {
                worker.process.stop();
                worker.enter(Phase::Stopping, now);
            }
            Phase::Stopping if age > stop_timeout => worker.process.kill(),
            Phase::Starting | Phase::Serving | Phase::Draining | Phase::Stopping => {}
        }
    }

    /// Kills a worker that is of no use. Its calls fail at once, and their jobs go to others.
    fn give_up(&mut self, index: usize, failure: Failure, cause: &str, now: Instant) {
        let Some(worker) = self.workers.get_mut(index) else { return };
        worker.process.kill();
        self.pool.remove(&worker.endpoint);
        let (generation, lived) = (worker.generation, lived(worker, now));
        let cause = format!("{}: {cause}", worker.endpoint);
        worker.enter(Phase::Stopping, now);
        self.failed(generation, failure, lived, cause, now);
    }

    /// A wanted worker is lost: the next start waits, and a replacement by its like is taken back.
    fn failed(&mut self, generation: u64, failure: Failure, lived: Duration, cause: String, now: Instant) {
        self.metrics.worker_failures.with_label_values(&[failure.label()]).inc();
        let pause = self.backoff.pause_after(lived);
        self.start_not_before = now + pause;
        self.metrics.restart_pause.set(i64::try_from(pause.as_millis()).unwrap_or(i64::MAX));
        tracing::error!(cause, failure = failure.label(), ?pause, "worker failed");
        if self.candidate.as_ref().is_some_and(|candidate| candidate.number == generation) {
            self.candidate = None;
            self.rollout = Rollout::Halted;
            tracing::error!(cause, "replacement of the workers is halted and taken back");
        }
        self.last_error = Some(cause);
    }

    fn start(&mut self, now: Instant) {
        let Generation { number: generation, blueprint } = self.wanted().clone();
        self.metrics.worker_starts.inc();
        match self.launch(&blueprint) {
            Ok((number, endpoint, process)) => {
                let phase = Phase::Starting;
                let mut worker = Worker { number, generation, endpoint, process, phase, since: now };
                worker.enter(phase, now);
                self.workers.push(worker);
            }
            Err(error) => {
                let cause = match std::error::Error::source(&error) {
                    Some(source) => format!("{error}: {source}"),
                    None => error.to_string(),
                };
                self.failed(generation, Failure::NotStarted, Duration::ZERO, cause, now);
            }
        }
    }

    /// Runs a worker under the smallest number that no other has.
    fn launch(&self, blueprint: &Blueprint) -> Result<(u32, Endpoint, Process), StartError> {
        let is_free = |number: &u32| self.workers.iter().all(|worker| worker.number != *number);
        let first = blueprint.number_first;
        let number = (first..=u32::MAX).find(is_free).unwrap_or(first);
        let endpoint = blueprint.endpoint_of(number)?;
        let (program, arguments) = blueprint.command_of(number);
        let process =
            Process::start(&program, &arguments).map_err(|source| StartError::Run { program, source })?;
        self.pool.add(endpoint.clone())?;
        Ok((number, endpoint, process))
    }

    fn drain(&mut self, number: u32, now: Instant) {
        if let Some(worker) = self.workers.iter_mut().find(|worker| worker.number == number) {
            self.pool.drain(&worker.endpoint);
            worker.enter(Phase::Draining, now);
        }
    }

    fn finish_rollout(&mut self) {
        let views = self.views();
        let is_reached = |generation: &mut Generation| {
            plan::is_reached(generation.blueprint.size, generation.number, &views)
        };
        if let Some(reached) = self.candidate.take_if(is_reached) {
            tracing::info!(generation = reached.number, "all workers are replaced");
            self.current = reached;
            self.rollout = Rollout::Done;
        }
    }

    fn tell(&mut self) {
        let size = self.wanted().blueprint.size;
        let serving = self.workers.iter().filter(|worker| worker.phase == Phase::Serving).count();
        if serving >= size {
            self.metrics.restart_pause.set(0);
            self.last_error.take_if(|_| self.rollout != Rollout::Halted);
        }
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.metrics.pool_size.with_label_values(&["wanted"]).set(count(size));
        self.metrics.pool_size.with_label_values(&["serving"]).set(count(serving));
        self.metrics.rollout_halted.set(i64::from(self.rollout == Rollout::Halted));
        let phases = self.workers.iter().map(|worker| (worker.endpoint.clone(), worker.phase)).collect();
        self.board.write(Content { size, rollout: self.rollout, error: self.last_error.clone(), phases });
    }
}

/// How long a worker was of use; one that was not admitted, or was hung, was of none.
fn lived(worker: &Worker, now: Instant) -> Duration {
    match worker.phase {
        Phase::Serving => now.saturating_duration_since(worker.since),
        Phase::Starting | Phase::Draining | Phase::Stopping => Duration::ZERO,
    }
}
