//! The part `log-append` of the benchmark `log`: durable single-event commands straight into event stores' APIs, ours
//! and others in turn, so that all meet the same machine, and a bare insert as the limit.

mod growth;
mod limit;
mod message_db;
mod ours;
mod stock;

use std::path::PathBuf;
use std::time::Duration;

use crate::closed_loop::{self, Run};
use crate::log_database::Server;
use crate::report::{self, Line, ratio};

use limit::Limit;
use message_db::MessageDb;
use ours::Ours;
use stock::Stock;

/// Clients in turn.
const CLIENTS: [usize; 4] = [1, 16, 64, 256];
/// Streams that the commands are for.
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
    /// Folder `database` of the package of message-db, which is a peer then
    #[arg(long, env = "NSL_LOAD_MESSAGE_DB")]
    message_db: Option<PathBuf>,
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
    #[error(transparent)]
    MessageDb(#[from] message_db::Error),
    #[error("message-db failed a command")]
    MessageDbRun(#[from] closed_loop::Error<message_db::Error>),
    #[error("cannot write the report")]
    Report(#[from] serde_json::Error),
}

/// The peers' names in the report.
const STOCK: &str = "cqrs-es+postgres-es";
const MESSAGE_DB: &str = "message-db";

pub(crate) async fn run(arguments: &Arguments) -> Result<(), Error> {
    let server = &arguments.server;
    let peers = server.empty_database("log_append_peers").await?;
    let message_db = match &arguments.message_db {
        Some(package) => Some(MessageDb::open(&peers, package).await?),
        None => None,
    };
    let contenders = Contenders {
        ours: Ours::open(&server.empty_database("log_append_ours").await?).await?,
        stock: Stock::open(&peers).await?,
        message_db,
        limit: Limit::open(&peers).await?,
    };
    if !arguments.json {
        report::head();
    }
    for clients in CLIENTS {
        for line in contenders.case(clients).await? {
            line.print(arguments.json)?;
        }
    }
    growth::run(&server.empty_database("log_growth").await?, arguments.json, arguments.full).await
}

/// Everyone who takes part.
struct Contenders {
    ours: Ours,
    stock: Stock,
    message_db: Option<MessageDb>,
    limit: Limit,
}

/// A case's runs by contender.
#[derive(Default)]
struct Runs {
    ours: Vec<Run>,
    stock: Vec<Run>,
    message_db: Vec<Run>,
    limit: Vec<Run>,
}

impl Contenders {
    /// All contenders in turn, after a warm-up, so many times; a line for each peer.
    async fn case(&self, clients: usize) -> Result<Vec<Line>, Error> {
        self.round(clients, 0, WARM_UP_TIME, &mut Runs::default()).await?;
        let mut runs = Runs::default();
        for run in 1..=RUNS {
            self.round(clients, run, RUN_TIME, &mut runs).await?;
            let last = |runs: &[Run]| runs.last().map_or(0, |run| run.per_second);
            eprintln!(
                "{clients} clients, run {run} of {RUNS}: ours {}, {STOCK} {}, {MESSAGE_DB} {}, limit {} a second",
                last(&runs.ours),
                last(&runs.stock),
                last(&runs.message_db),
                last(&runs.limit)
            );
        }
        let mut lines = vec![runs.line(clients, STOCK, &runs.stock)];
        if self.message_db.is_some() {
            lines.push(runs.line(clients, MESSAGE_DB, &runs.message_db));
        }
        Ok(lines)
    }

    async fn round(&self, clients: usize, run: usize, time: Duration, runs: &mut Runs) -> Result<(), Error> {
        runs.ours.push(closed_loop::run(draw(run), clients, time, self.ours.executor()).await?);
        self.stock.empty().await?;
        runs.stock.push(closed_loop::run(draw(run), clients, time, self.stock.executor()).await?);
        if let Some(message_db) = &self.message_db {
            message_db.empty().await?;
            runs.message_db.push(closed_loop::run(draw(run), clients, time, message_db.executor()).await?);
        }
        runs.limit.push(Run { per_second: self.limit.run().await?, p50_us: 0, p99_us: 0 });
        Ok(())
    }
}

impl Runs {
    fn line(&self, clients: usize, peer: &'static str, peer_runs: &[Run]) -> Line {
        let (own, peer_run) = (Run::median(&self.ours), Run::median(peer_runs));
        let limit = Run::median(&self.limit).per_second;
        Line {
            bench: "log.append",
            clients,
            unit: "1/s",
            ours: own.per_second,
            p50_us: own.p50_us,
            p99_us: own.p99_us,
            peer,
            peer_value: peer_run.per_second,
            ratio_to_peer: ratio(own.per_second, peer_run.per_second),
            limit: limit::NAME.to_owned(),
            limit_value: limit,
            ratio_to_limit: ratio(own.per_second, limit),
        }
    }
}

/// The aggregates of a run's commands, the same ones for every store: all of them once in random order, then again.
/// Clients seldom meet on one, so that what is measured is the store and not the conflicts.
fn draw(run: usize) -> Vec<usize> {
    let mut random = fastrand::Rng::with_seed(run as u64);
    let mut round: Vec<usize> = (0..AGGREGATES).collect();
    let mut drawn = Vec::with_capacity(DRAWN);
    while drawn.len() < DRAWN {
        random.shuffle(&mut round);
        drawn.extend_from_slice(&round);
    }
    drawn
}

/// An event's content, for every store the same.
fn text() -> String {
    "x".repeat(TEXT_BYTES)
}
