//! Signing jobs over the host's client of the channel: as many in flight as are asked for, or as many a second.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hdrhistogram::Histogram;
use nix::sys::prctl::set_timerslack;
use nsl_enclave_protocol::{Endpoint, Pool, PoolOptions, pool};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::closed_loop::{self, Run, per_second};

/// Longer than any job takes.
const CALL_TIME_LIMIT: Duration = Duration::from_secs(10);
/// Longest latency that is told apart, and its digits.
const LATENCY_US_MAX: u64 = 10_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;
/// What only a signature's outcome has in it; to read whole answers would measure the reading.
const SIGNED: &[u8] = br#""kind":"transfer-signed""#;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Pool(#[from] pool::Error),
    #[error("worker did not sign: {0}")]
    NotSigned(String),
    #[error("cannot keep latencies")]
    Histogram(#[from] hdrhistogram::CreationError),
    #[error("nothing was sent in time")]
    NothingSent,
}

/// Clients of the same workers, each used by so many callers at once, and the jobs that they send in turn.
#[derive(Clone)]
pub(super) struct Callers {
    free: Arc<Mutex<Vec<Pool>>>,
    jobs: Arc<[Bytes]>,
    done: Arc<AtomicU64>,
}

impl Callers {
    /// `connections` clients of `workers`, for `in_flight` callers.
    pub(super) fn open(
        workers: &[Endpoint],
        connections: usize,
        in_flight: usize,
        jobs: &Arc<[Bytes]>,
    ) -> Result<Self, Error> {
        let open = |_| Pool::open(workers.to_vec(), PoolOptions::default());
        let pools = (0..connections).map(open).collect::<Result<Vec<_>, _>>()?;
        let free = pools.iter().cloned().cycle().take(in_flight.max(connections)).collect();
        Ok(Self { free: Arc::new(Mutex::new(free)), jobs: Arc::clone(jobs), done: Arc::default() })
    }

    /// Jobs done so far.
    pub(super) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    async fn call(&self, job: Bytes) -> Result<(), Error> {
        // There are as many as callers.
        let Some(pool) = self.free().pop() else { return Err(Error::NothingSent) };
        let outcome = pool.call(job, tokio::time::Instant::now() + CALL_TIME_LIMIT).await;
        self.free().push(pool);
        let answer = outcome?;
        if !answer.windows(SIGNED.len()).any(|window| window == SIGNED) {
            return Err(Error::NotSigned(String::from_utf8_lossy(&answer).into_owned()));
        }
        self.done.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn free(&self) -> std::sync::MutexGuard<'_, Vec<Pool>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps `in_flight` jobs under way until `jobs` were sent or `time` is over.
    pub(super) async fn closed(
        &self,
        in_flight: usize,
        jobs: usize,
        time: Duration,
    ) -> Result<Run, closed_loop::Error<Error>> {
        let items = (0..jobs).zip(self.jobs.iter().cycle().cloned()).map(|(_, job)| job).collect();
        let callers = self.clone();
        let work = move |job| {
            let callers = callers.clone();
            async move { callers.call(job).await }
        };
        closed_loop::run(items, in_flight, time, work).await
    }

    /// Sends `rate` jobs a second for `time`, whether or not the last are done. A job's latency counts from when it was
    /// to be sent, so that a stall is felt by all that it delays.
    pub(super) async fn open_loop(&self, rate: u64, time: Duration) -> Result<Run, Error> {
        let (sender, mut latencies) = mpsc::unbounded_channel();
        let (callers, runtime) = (self.clone(), Handle::current());
        let count = u64::try_from(u128::from(rate) * time.as_millis() / 1000).unwrap_or(u64::MAX);
        let started = Instant::now();
        // A thread of its own: timers of the runtime count in milliseconds.
        let pace = std::thread::spawn(move || {
            // Without it the kernel may wake us 50 microseconds late; with it latencies are a little better, no more.
            let _ = set_timerslack(1);
            for (number, job) in (0..count).zip(callers.jobs.iter().cycle().cloned()) {
                let due = started + Duration::from_nanos(number * 1_000_000_000 / rate.max(1));
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                let (callers, sender) = (callers.clone(), sender.clone());
                runtime.spawn(async move {
                    let outcome = callers.call(job).await;
                    // The receiver is there until all senders are gone.
                    let _ = sender.send(outcome.map(|()| due.elapsed()));
                });
            }
        });
        let mut histogram = Histogram::<u64>::new_with_bounds(1, LATENCY_US_MAX, SIGNIFICANT_DIGITS)?;
        while let Some(latency) = latencies.recv().await {
            histogram.saturating_record(u64::try_from(latency?.as_micros()).unwrap_or(u64::MAX));
        }
        pace.join().map_err(|_panic| Error::NothingSent)?;
        Ok(Run {
            per_second: per_second(histogram.len(), started.elapsed()),
            p50_us: histogram.value_at_quantile(0.5),
            p99_us: histogram.value_at_quantile(0.99),
        })
    }
}
