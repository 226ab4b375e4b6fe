//! The part `log-append` of the benchmark `log`: durable single-event commands straight into event stores' APIs, ours
//! and others in turn, so that all meet the same machine, and a bare insert as the limit.

mod limit;
mod ours;
mod stock;

use std::time::Duration;

use crate::closed_loop::{self, Run};
use crate::log_database::Server;
use crate::report::{self, Line, ratio};

use ours::Ours;
use stock::Stock;

/// Clients in turn.
const CLIENTS: [usize; 4] = [1, 16, 64, 256];
/// Streams that the commands are drawn for, uniformly.
const AGGREGATES: usize = 1_000;
/// Of one run: some hundreds of commits of the slowest store.
const RUN_TIME: Duration = Duration::from_secs(3);
/// Before the first run of a case, not measured: plans are made, sessions opened, every stream has events.
const WARM_UP_TIME: Duration = Duration::from_secs(1);
/// Commands drawn for a run: more than any store takes in its time.
const DRAWN: usize = 1_000_000;
/// Figures are the medians of so many runs.
const RUNS: usize = 3;
/// A payload of about 300 bytes with this much text.
const TEXT_BYTES: usize = 270;

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
    Ours(#[from] ours::Error),
    #[error("our store failed a command")]
    OurRun(#[from] closed_loop::Error<ours::Error>),
    #[error("stock cqrs-es failed a command")]
    StockRun(#[from] closed_loop::Error<stock::Error>),
    #[error("cannot write the report")]
    Report(#[from] serde_json::Error),
}

pub(crate) async fn run(arguments: &Arguments) -> Result<(), Error> {
    let server = &arguments.server;
    let ours = Ours::open(&server.empty_database("log_append_ours").await?).await?;
    let peers = server.empty_database("log_append_peers").await?;
    let stock = Stock::open(&peers).await?;
    let limit = limit::Limit::open(&peers).await?;
    if !arguments.json {
        report::head();
    }
    for clients in CLIENTS {
        case(clients, &ours, &stock, &limit).await?.print(arguments.json)?;
    }
    Ok(())
}

async fn case(clients: usize, ours: &Ours, stock: &Stock, limit: &limit::Limit) -> Result<Line, Error> {
    stock.empty().await?;
    closed_loop::run(draw(0), clients, WARM_UP_TIME, ours.executor()).await?;
    closed_loop::run(draw(0), clients, WARM_UP_TIME, stock.executor()).await?;
    let (mut own_runs, mut peer_runs, mut limits) = (Vec::new(), Vec::new(), Vec::new());
    for run in 1..=RUNS {
        let own = closed_loop::run(draw(run), clients, RUN_TIME, ours.executor()).await?;
        stock.empty().await?;
        let peer = closed_loop::run(draw(run), clients, RUN_TIME, stock.executor()).await?;
        let most = limit.run().await?;
        eprintln!(
            "{clients} clients, run {run} of {RUNS}: ours {}, stock {}, limit {most} a second",
            own.per_second, peer.per_second
        );
        own_runs.push(own);
        peer_runs.push(peer);
        limits.push(Run { per_second: most, p50_us: 0, p99_us: 0 });
    }
    let (own, peer, most) = (Run::median(&own_runs), Run::median(&peer_runs), Run::median(&limits));
    Ok(Line {
        bench: "log.append",
        clients,
        unit: "1/s",
        ours: own.per_second,
        p50_us: own.p50_us,
        p99_us: own.p99_us,
        peer: "cqrs-es+postgres-es",
        peer_value: peer.per_second,
        ratio_to_peer: ratio(own.per_second, peer.per_second),
        limit: limit::NAME.to_owned(),
        limit_value: most.per_second,
        ratio_to_limit: ratio(own.per_second, most.per_second),
    })
}

/// The aggregates of a run's commands: the same ones for every store.
fn draw(run: usize) -> Vec<usize> {
    let mut random = fastrand::Rng::with_seed(run as u64);
    (0..DRAWN).map(|_| random.usize(..AGGREGATES)).collect()
}

/// An event's content, for every store the same.
fn text() -> String {
    "x".repeat(TEXT_BYTES)
}
