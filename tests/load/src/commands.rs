//! The benchmark `commands`: transfers on open wallets from publish to result, the same through the peer, and the limit,
//! in turn, so that all three meet the same machine.

use std::sync::Arc;
use std::time::Duration;

use nsl_schemas::token;
use sqlx::PgPool;

use crate::closed_loop::{self, Run};
use crate::exchange::{self, Exchange};
use crate::report::{self, Line, ratio};
use crate::stock::{self, Stock};
use crate::workload::{Ready, WALLETS, Workload};
use crate::{group_commit, quiet};

/// Clients, and commands of one run: a few seconds each; together with the warm-ups some 35 transfers a wallet, far
/// below the 256 that a wallet may have open.
const CASES: [(usize, usize); 4] = [(1, 500), (16, 2_000), (64, 4_000), (256, 4_000)];
/// Commands before the first run of a case, not measured: one a wallet, so that every state is in memory.
const WARM_UP: usize = WALLETS;
/// Figures are the medians of so many runs.
const RUNS: usize = 3;
/// A run ends then, whatever it has done.
const RUN_TIME_LIMIT: Duration = Duration::from_secs(10);

/// How to report.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// What the benchmark works with.
pub(crate) struct Parts {
    pub(crate) workload: Workload,
    pub(crate) exchange: Arc<Exchange>,
    pub(crate) database: PgPool,
    pub(crate) database_url: String,
    pub(crate) genesis: Vec<u8>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot make commands")]
    Token(#[from] token::Error),
    #[error("the system failed a command")]
    Ours(#[from] closed_loop::Error<exchange::Error>),
    #[error("the peer failed a command")]
    Peer(#[from] closed_loop::Error<stock::Error>),
    #[error(transparent)]
    Stock(#[from] stock::Error),
    #[error("the limit cannot be measured")]
    Limit(#[from] sqlx::Error),
    #[error(transparent)]
    Quiet(#[from] quiet::Error),
    #[error("cannot write the report")]
    Report(#[from] serde_json::Error),
}

pub(crate) async fn run(arguments: &Arguments, parts: Parts) -> Result<(), Error> {
    let stock = Stock::prepare(&parts.database, &parts.database_url, &parts.genesis).await?;
    group_commit::prepare(&parts.database).await?;
    let mut bench = Bench { parts, stock, sent: 0 };
    if !arguments.json {
        report::head();
    }
    for (clients, count) in CASES {
        bench.case(clients, count).await?.print(arguments.json)?;
    }
    Ok(())
}

struct Bench {
    parts: Parts,
    stock: Stock,
    /// Transfers so far: the wallets take turns over all runs.
    sent: usize,
}

impl Bench {
    async fn case(&mut self, clients: usize, count: usize) -> Result<Line, Error> {
        self.round(clients, WARM_UP).await?;
        let (mut ours, mut peers, mut limits) = (Vec::new(), Vec::new(), Vec::new());
        for run in 1..=RUNS {
            let (own, peer) = self.round(clients, count).await?;
            let limit = group_commit::run(&self.parts.database, clients).await?;
            eprintln!(
                "{clients} in flight, run {run} of {RUNS}: ours {}, peer {}, limit {limit} a second",
                own.per_second, peer.per_second
            );
            ours.push(own);
            peers.push(peer);
            limits.push(Run { per_second: limit, p50_us: 0, p99_us: 0 });
        }
        let (own, peer, limit) = (Run::median(&ours), Run::median(&peers), Run::median(&limits));
        Ok(Line {
            bench: "commands.e2e",
            clients,
            unit: "1/s",
            ours: own.per_second,
            p50_us: own.p50_us,
            p99_us: own.p99_us,
            peer: "cqrs-es+postgres-es",
            peer_value: peer.per_second,
            ratio_to_peer: ratio(own.per_second, peer.per_second),
            limit: group_commit::name(clients),
            limit_value: limit.per_second,
            ratio_to_limit: ratio(own.per_second, limit.per_second),
        })
    }

    /// The same commands through the system, then, when its reactor is done with them, through the peer.
    async fn round(&mut self, clients: usize, count: usize) -> Result<(Run, Run), Error> {
        let commands = self.parts.workload.transfers(self.sent, count)?;
        self.sent += count;
        let calls = self.stock.calls(commands.clone())?;
        let exchange = Arc::clone(&self.parts.exchange);
        let send = move |ready: Ready| {
            let exchange = Arc::clone(&exchange);
            async move { exchange.send(ready).await }
        };
        let own = closed_loop::run(commands, clients, RUN_TIME_LIMIT, send).await?;
        let behind = quiet::wait(&self.parts.database).await?;
        if behind > Duration::from_secs(1) {
            eprintln!("the reactor needed {} ms more for the jobs of this run", behind.as_millis());
        }
        let peer = closed_loop::run(calls, clients, RUN_TIME_LIMIT, self.stock.executor()).await?;
        Ok((own, peer))
    }
}
