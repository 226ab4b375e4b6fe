//! A closed loop: so many clients, each sending its next when its last is answered.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::task::JoinSet;

/// Longest latency that the histogram tells apart; what takes longer counts as this.
const LATENCY_US_MAX: u64 = 60_000_000;
/// Three significant digits: latencies are right to a thousandth.
const SIGNIFICANT_DIGITS: u8 = 3;

/// Why a run came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error<E> {
    #[error("cannot keep latencies")]
    Histogram(#[from] hdrhistogram::CreationError),
    #[error("a client failed")]
    Work(#[source] E),
    #[error("a client ended unexpectedly")]
    Join(#[from] tokio::task::JoinError),
}

/// What one run came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    /// Answers a second.
    pub(crate) per_second: u64,
    /// Median latency.
    pub(crate) p50_us: u64,
    /// Of a hundred, ninety-nine were quicker.
    pub(crate) p99_us: u64,
}

impl Run {
    /// Each figure's median over the runs.
    pub(crate) fn median(runs: &[Self]) -> Self {
        let median = |figure: fn(&Self) -> u64| {
            let mut figures: Vec<u64> = runs.iter().map(figure).collect();
            figures.sort_unstable();
            figures.get(figures.len() / 2).copied().unwrap_or_default()
        };
        Self {
            per_second: median(|run| run.per_second),
            p50_us: median(|run| run.p50_us),
            p99_us: median(|run| run.p99_us),
        }
    }
}

/// Lets `clients` work through `items`, for at most `time_limit`.
pub(crate) async fn run<T, E, W, F>(
    items: Vec<T>,
    clients: usize,
    time_limit: Duration,
    work: W,
) -> Result<Run, Error<E>>
where
    T: Send + 'static,
    E: Send + 'static,
    W: Fn(T) -> F + Clone + Send + 'static,
    F: Future<Output = Result<(), E>> + Send,
{
    let queue = Arc::new(Mutex::new(items.into_iter()));
    let empty = Histogram::<u64>::new_with_bounds(1, LATENCY_US_MAX, SIGNIFICANT_DIGITS)?;
    let mut tasks = JoinSet::new();
    let started = Instant::now();
    for _ in 0..clients {
        let (queue, work, mut latencies) = (Arc::clone(&queue), work.clone(), empty.clone());
        tasks.spawn(async move {
            while started.elapsed() < time_limit {
                let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some(item) = next else { break };
                let begun = Instant::now();
                work(item).await?;
                latencies.saturating_record(u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX));
            }
            Ok(latencies)
        });
    }
    let mut latencies = empty;
    while let Some(client) = tasks.join_next().await {
        // Equal bounds, so adding cannot fail.
        let _ = latencies.add(client?.map_err(Error::Work)?);
    }
    Ok(Run {
        per_second: per_second(latencies.len(), started.elapsed()),
        p50_us: latencies.value_at_quantile(0.5),
        p99_us: latencies.value_at_quantile(0.99),
    })
}

/// Whole answers a second.
pub(crate) fn per_second(count: u64, elapsed: Duration) -> u64 {
    let rate = u128::from(count) * 1_000_000_000 / elapsed.as_nanos().max(1);
    u64::try_from(rate).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_is_taken_of_each_figure_alone() {
        let runs = [(30, 1, 9), (10, 2, 8), (20, 3, 7)].map(|(per_second, p50_us, p99_us)| Run {
            per_second,
            p50_us,
            p99_us,
        });
        assert_eq!(Run::median(&runs), Run { per_second: 20, p50_us: 2, p99_us: 8 });
    }

    #[test]
    fn rate_is_count_over_time() {
        assert_eq!(per_second(500, Duration::from_millis(250)), 2_000);
        assert_eq!(per_second(1, Duration::ZERO), 1_000_000_000);
    }

    #[tokio::test]
    async fn each_item_is_worked_on_once_and_a_failure_ends_the_run() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let record = {
            let seen = Arc::clone(&seen);
            move |item: u32| {
                let seen = Arc::clone(&seen);
                async move {
                    seen.lock().unwrap().push(item);
                    if item == 99 { Err("no") } else { Ok(()) }
                }
            }
        };
        run((0..50).collect(), 4, Duration::from_mins(1), record.clone()).await.unwrap();
        let mut done = std::mem::take(&mut *seen.lock().unwrap());
        done.sort_unstable();
        assert_eq!(done, (0..50).collect::<Vec<_>>());
        let failed = run(vec![99], 4, Duration::from_mins(1), record).await;
        assert!(matches!(failed, Err(Error::Work("no"))));
    }
}
