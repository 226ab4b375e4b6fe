//! Puts the parts together: connections, the block cursor, the intake of jobs, the questions.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use nsl_bus::{Bus, BusConfig};
use nsl_client::{Client, Options, issuer};
use nsl_schemas::nkey::SigningKey;
use nsl_schemas::token::Tenant;
use nsl_telemetry::Context;

use crate::config::Config;
use crate::cursor::Cursor;
use crate::intake::Intake;
use crate::metrics::Metrics;
use crate::queries::Questions;
use crate::relay::Relay;
use crate::report::Reporter;
use crate::watchlist::Watchlist;

const NAME: &str = env!("CARGO_PKG_NAME");

/// Why the service cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No key to sign with.
    #[error("issuer")]
    Issuer(#[from] issuer::Error),
    /// The node's URL cannot be used.
    #[error("neo.rpc_url")]
    Node(#[from] nsl_neo_rpc::Error),
    /// No connection for jobs and questions.
    #[error("bus")]
    Bus(#[from] nsl_bus::connection::Error),
    /// A metric was refused.
    #[error("metrics")]
    Metrics(#[from] nsl_telemetry::metrics::Error),
}

/// Starts every task and returns; they end with the context's shutdown.
pub async fn run(context: Context<Config>) -> Result<(), Error> {
    nsl_telemetry::failpoint::register(&crate::failpoints::ALL);
    let config = &context.config;
    let issuer = issuer::read(&config.issuer.seed_file)?;
    let timeout = Duration::from_millis(config.neo.timeout_ms.get());
    let node = Arc::new(nsl_neo_rpc::Client::new(config.neo.rpc_url.expose(), timeout)?);
    let stop = context.shutdown.token().clone();
    let Some(connected) = stop.run_until_cancelled(Box::pin(connect(&config.bus, issuer))).await else {
        return Ok(());
    };
    let (bus, reporter) = connected?;
    let checked = bus.clone();
    context.readiness.register("bus", move || std::future::ready(checked.check()));
    let metrics = Metrics::register(&context.metrics)?;
    let watchlist = Watchlist::new(metrics.clone());
    start_cursor(&context, &node, &watchlist, &metrics);
    start_intake(&context, &node, &bus, reporter, watchlist, &metrics);
    start_questions(&context, node, bus, metrics);
    context.started();
    Ok(())
}

async fn connect(config: &BusConfig, issuer: SigningKey) -> Result<(Bus, Reporter), Error> {
    let bus = Bus::connect(config, NAME).await?;
    let options = Options::new(NAME, Tenant::system()).issued_by(issuer);
    let client = Client::over(bus.client().clone(), options);
    Ok((bus, Reporter::new(client)))
}

fn start_cursor(
    context: &Context<Config>,
    node: &Arc<nsl_neo_rpc::Client>,
    watchlist: &Watchlist,
    metrics: &Metrics,
) {
    let cursor = Cursor {
        node: Arc::clone(node),
        watchlist: watchlist.clone(),
        poll: poll(context),
        metrics: metrics.clone(),
        gate: context.readiness.gate("node", "not asked yet"),
    };
    let stop = context.shutdown.token().clone();
    context.shutdown.spawn("block cursor", async move {
        cursor.run(stop).await;
        Ok::<(), Infallible>(())
    });
}

fn start_intake(
    context: &Context<Config>,
    node: &Arc<nsl_neo_rpc::Client>,
    bus: &Bus,
    reporter: Reporter,
    watchlist: Watchlist,
    metrics: &Metrics,
) {
    let stop = context.shutdown.token().clone();
    let intake = Arc::new(Intake {
        bus: bus.clone(),
        config: context.config.relay.clone(),
        watchlist,
        relay: Relay::new(Arc::clone(node), poll(context), stop, metrics.clone()),
        reporter,
        metrics: metrics.clone(),
        shutdown: context.shutdown.clone(),
        gate: context.readiness.gate("job queue", "not opened yet"),
    });
    context.shutdown.spawn("intake", async move {
        Box::pin(intake.run()).await;
        Ok::<(), Infallible>(())
    });
}

fn start_questions(context: &Context<Config>, node: Arc<nsl_neo_rpc::Client>, bus: Bus, metrics: Metrics) {
    let questions = Arc::new(Questions::new(node, context.config.relay.valid_for_blocks, metrics));
    let stop = context.shutdown.token().clone();
    context.shutdown.spawn("questions", async move { questions.serve(&bus, stop).await });
}

fn poll(context: &Context<Config>) -> Duration {
    Duration::from_millis(context.config.relay.poll_ms.get())
}
