//! The part `log-replay` of the benchmark `log`: a million events back into the typed enum, from Postgres and from an
//! archive, beside stock postgres-es and what copying and parsing alone would allow. All take turns in every run.

mod limit;
mod log;
mod stock;

use std::time::Instant;

use crate::closed_loop::per_second;
use crate::log_database::Server;
use crate::report::{self, Line, ratio};

use log::Log;

/// Events of the log that is measured.
const EVENTS: u64 = 1_000_000;
/// Sizes at which the replay's cost per event is compared; the last with `--full` only.
const GROWTH: [u64; 3] = [100_000, EVENTS, 10_000_000];
/// Sessions of a replay, and threads that read an archive: the machine's two cores.
const WORKERS: usize = 2;
/// Figures are the medians of so many runs.
const RUNS: usize = 3;

/// How to report.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    server: Server,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// Grow the log to ten million events instead of one million
    #[arg(long)]
    full: bool,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("a database for the measurement cannot be made")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Log(#[from] log::Error),
    #[error("stock postgres-es failed")]
    Stock(#[from] stock::Error),
    #[error("cannot write the report")]
    Report(#[from] serde_json::Error),
}

/// What one run came to, events a second.
#[derive(Clone, Copy, Debug)]
struct Run {
    checked: u64,
    unchecked: u64,
    archive: u64,
    stock: u64,
    copy: u64,
    parse: u64,
}

pub(crate) async fn run(arguments: &Arguments) -> Result<(), Error> {
    let url = arguments.server.empty_database("log_replay").await?;
    let mut log = Log::open(&url).await?;
    if !arguments.json {
        report::head();
    }
    let mut growth = Vec::new();
    for size in GROWTH {
        if size > EVENTS && !arguments.full {
            break;
        }
        log.grow(size).await?;
        if size == EVENTS {
            for line in whole(&log, &url).await? {
                line.print(arguments.json)?;
            }
        }
        growth.push((size, log_rate(&log, size).await?));
    }
    for line in grown(&growth) {
        line.print(arguments.json)?;
    }
    Ok(())
}

/// The replay against everything else.
async fn whole(log: &Log, url: &str) -> Result<Vec<Line>, Error> {
    let stock = stock::Stock::open(url).await?;
    let copy = limit::Copy::open(url).await?;
    let archive = log.archive().await?;
    let parse = limit::Parse::new(log).await?;
    let mut runs = Vec::new();
    for number in 1..=RUNS {
        let run = Run {
            checked: timed(EVENTS, log.replay(true)).await?,
            unchecked: timed(EVENTS, log.replay(false)).await?,
            archive: timed(EVENTS, async { archive.replay() }).await?,
            stock: timed(EVENTS, stock.replay()).await?,
            copy: timed(EVENTS, copy.run()).await?,
            parse: timed(limit::PARSED, async { parse.run() }).await?,
        };
        eprintln!("run {number} of {RUNS}, events a second: {run:?}");
        runs.push(run);
    }
    let median = |figure: fn(&Run) -> u64| median(runs.iter().map(figure).collect());
    let (stock, copy, parse) = (median(|run| run.stock), median(|run| run.copy), median(|run| run.parse));
    let line = |bench, ours, limit: &str, limit_value| Line {
        bench,
        clients: WORKERS,
        unit: "1/s",
        ours,
        p50_us: 0,
        p99_us: 0,
        peer: "cqrs-es+postgres-es",
        peer_value: stock,
        ratio_to_peer: ratio(ours, stock),
        limit: limit.to_owned(),
        limit_value,
        ratio_to_limit: ratio(ours, limit_value),
    };
    Ok(vec![
        line("log.replay", median(|run| run.unchecked), limit::COPY, copy),
        line("log.replay.checked", median(|run| run.checked), limit::COPY, copy),
        line("log.replay.archive", median(|run| run.archive), limit::PARSE, parse),
    ])
}

async fn log_rate(log: &Log, size: u64) -> Result<u64, Error> {
    let mut rates = Vec::new();
    for _ in 0..RUNS {
        rates.push(timed(size, log.replay(false)).await?);
    }
    Ok(median(rates))
}

/// Each size beside the smallest.
fn grown(growth: &[(u64, u64)]) -> Vec<Line> {
    let smallest = growth.first().map_or(0, |(_, rate)| *rate);
    let line = |(size, rate): &(u64, u64)| Line {
        bench: "log.replay.growth",
        clients: WORKERS,
        unit: "1/s",
        ours: *rate,
        p50_us: 0,
        p99_us: 0,
        peer: "the same log with 100,000 events",
        peer_value: smallest,
        ratio_to_peer: ratio(*rate, smallest),
        limit: format!("of {size} events"),
        limit_value: *rate,
        ratio_to_limit: 1.0,
    };
    growth.iter().map(line).collect()
}

/// Events a second of a replay that must have had so many.
async fn timed<E>(events: u64, replay: impl Future<Output = Result<u64, E>>) -> Result<u64, Error>
where
    Error: From<E>,
{
    let started = Instant::now();
    let read = replay.await?;
    let elapsed = started.elapsed();
    if read == events {
        Ok(per_second(events, elapsed))
    } else {
        Err(log::Error::Short { read, events }.into())
    }
}

fn median(mut figures: Vec<u64>) -> u64 {
    figures.sort_unstable();
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}
