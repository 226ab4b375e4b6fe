//! The cases beside the plain one: half load, two workers, memory over many jobs, the sign step alone.

use std::sync::Arc;

use nsl_enclave_protocol::Endpoint;

use super::worker::Worker;
use super::{
    Bench, Callers, Error, JOBS, MANY, MEMORY_AT, MEMORY_AT_SHORT, MEMORY_TIME_LIMIT, RUN_JOBS, RUN_TIME,
    RUNS, Runs, SoftHsm, WARM_UP_TIME, core, of_rate, sign_step,
};
use crate::closed_loop::Run;
use crate::report::{Line, ratio};

/// Jobs in flight over two workers: as many for each as for one alone.
const IN_FLIGHT_OF_TWO: usize = 2 * MANY;
const ONE_WORKER: &str = "one worker";
/// What p99 at half load is to stay below.
const P99_US_MAX: u64 = 1_000;

impl Bench {
    /// `rate` jobs a second, sent at their time whatever became of the others.
    pub(super) async fn half_load(&self, rate: u64) -> Result<Line, Error> {
        let callers = self.callers(1, JOBS)?;
        callers.open_loop(rate, WARM_UP_TIME).await?;
        let mut runs = Runs::default();
        for number in 1..=RUNS {
            runs.ours.push(callers.open_loop(rate, RUN_TIME).await?);
            runs.tell("enclave.sign.half_load", 0, number);
        }
        let Run { per_second, p50_us, p99_us } = Run::median(&runs.ours);
        Ok(Line {
            bench: "enclave.sign.half_load",
            clients: 0,
            unit: "1/s",
            ours: per_second,
            p50_us,
            p99_us,
            peer: "jobs sent a second, latency from when each was to be sent",
            peer_value: rate,
            ratio_to_peer: ratio(per_second, rate),
            limit: "p99 in microseconds, to stay below the value".to_owned(),
            limit_value: P99_US_MAX,
            ratio_to_limit: ratio(p99_us, P99_US_MAX),
        })
    }

    /// One worker and then two, each on a core of its own, with the load on both; and the processor time of a job, which
    /// no neighbour on the machine disturbs much.
    pub(super) async fn workers(&self) -> Result<[Line; 2], Error> {
        let program = &self.arguments.worker;
        let second = Worker::start(program, self.folder.path(), 1, self.cores[1]).await?;
        let endpoints = [self.worker.endpoint(), second.endpoint()];
        let used = || Ok::<_, Error>(self.worker.processor_ns()? + second.processor_ns()?);
        let (mut rates, mut costs) = (Runs::default(), Runs::default());
        for number in 0..=RUNS {
            let before = used()?;
            let (one, one_jobs) = self.spread(&endpoints[..1], MANY)?;
            let between = used()?;
            let (two, two_jobs) = self.spread(&endpoints, IN_FLIGHT_OF_TWO)?;
            let after = used()?;
            let (limit, limit_ns) = self.bare_job()?;
            // The first is the warm-up.
            if number > 0 {
                rates.ours.push(two);
                rates.peer.push(one);
                rates.limit.push(of_rate(2 * limit));
                rates.tell("enclave.sign.workers", IN_FLIGHT_OF_TWO, number);
                costs.ours.push(of_rate((after - between) / two_jobs.max(1)));
                costs.peer.push(of_rate((between - before) / one_jobs.max(1)));
                costs.limit.push(of_rate(limit_ns));
                costs.tell("enclave.sign.processor (ns a job)", IN_FLIGHT_OF_TWO, number);
            }
        }
        let limit = "twice the bare loop; the load shares the workers' cores".to_owned();
        let rates = rates.line("enclave.sign.workers", IN_FLIGHT_OF_TWO, ONE_WORKER, limit);
        let limit = "the bare loop's processor time for a job".to_owned();
        let costs = costs.line("enclave.sign.processor", IN_FLIGHT_OF_TWO, ONE_WORKER, limit);
        Ok([rates, Line { unit: "ns/job", ..costs }])
    }

    /// Keeps jobs in flight at `workers` from both cores; also how many were done.
    fn spread(&self, workers: &[Endpoint], in_flight: usize) -> Result<(Run, u64), Error> {
        let (workers, jobs) = (workers.to_vec(), Arc::clone(&self.jobs));
        core::run_on(&self.cores, move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let callers = Callers::open(&workers, 1, in_flight, &jobs)?;
                let run = callers.closed(in_flight, RUN_JOBS, RUN_TIME).await?;
                Ok((run, callers.done()))
            })
        })?
    }

    /// The worker's memory after ever more jobs.
    pub(super) async fn memory(&self) -> Result<(), Error> {
        let callers = self.callers(1, MANY)?;
        let points = if self.arguments.full { MEMORY_AT.len() } else { MEMORY_AT_SHORT };
        let mut base_kib = None;
        for at in MEMORY_AT.into_iter().take(points) {
            while callers.done() < at {
                let missing = usize::try_from(at - callers.done()).unwrap_or(RUN_JOBS).min(RUN_JOBS);
                callers.closed(MANY, missing, MEMORY_TIME_LIMIT).await?;
            }
            let kib = self.worker.resident_kib()?;
            let base_kib = *base_kib.get_or_insert(kib);
            let line = Line {
                bench: "enclave.memory",
                clients: MANY,
                unit: "KiB",
                ours: kib,
                p50_us: 0,
                p99_us: 0,
                peer: "the same worker after 100,000 jobs",
                peer_value: base_kib,
                ratio_to_peer: ratio(kib, base_kib),
                limit: "jobs done".to_owned(),
                limit_value: at,
                ratio_to_limit: 0.0,
            };
            line.print(self.arguments.json)?;
        }
        Ok(())
    }

    /// The sign step alone.
    pub(super) fn sign_step(&self) -> Result<(), Error> {
        let Some(peer) = SoftHsm::open()? else { return Ok(()) };
        let mut runs = Runs::default();
        for number in 0..=RUNS {
            let ours = core::run_on(&[self.cores[0]], sign_step::run)??;
            let peers = peer.run()?;
            if number > 0 {
                runs.ours.push(of_rate(ours));
                runs.peer.push(of_rate(peers));
                runs.limit.push(of_rate(ours));
                runs.tell("enclave.sign.step", 1, number);
            }
        }
        let limit = "ours: there is nothing below it".to_owned();
        runs.line("enclave.sign.step", 1, "SoftHSM2 over PKCS#11", limit).print(self.arguments.json)?;
        Ok(())
    }
}
