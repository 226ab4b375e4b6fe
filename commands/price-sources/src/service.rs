//! Puts the parts together: connections, one task a source, one task a feed.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use nsl_bus::{Bus, BusConfig, streams};
use nsl_client::{Client, Options, issuer};
use nsl_schemas::nkey::SigningKey;
use nsl_schemas::token::Tenant;
use nsl_telemetry::Context;

use crate::budget::Budget;
use crate::config::{self, Config};
use crate::fetch;
use crate::metrics::Metrics;
use crate::poll::Poller;
use crate::proposer::{COMMAND_LIFETIME, Proposer};
use crate::rounds::RoundMaker;

const NAME: &str = env!("CARGO_PKG_NAME");

/// Why the service cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration contradicts itself.
    #[error("configuration")]
    Config(#[from] config::Error),
    /// No key to sign with.
    #[error("issuer")]
    Issuer(#[from] issuer::Error),
    /// No connection for observations.
    #[error("bus")]
    Bus(#[from] nsl_bus::connection::Error),
    /// The stream of observations is not as it must be.
    #[error("observation stream")]
    Stream(#[from] nsl_bus::stream::Error),
    /// A metric was refused.
    #[error("metrics")]
    Metrics(#[from] nsl_telemetry::metrics::Error),
    /// The client for venues cannot be made.
    #[error("http client")]
    Http(#[from] reqwest::Error),
}

/// Starts every task and returns; they end with the context's shutdown.
pub async fn run(context: Context<Config>) -> Result<(), Error> {
    let config = &context.config;
    config.sources()?;
    let issuer = issuer::read(&config.issuer.seed_file)?;
    let stop = context.shutdown.token().clone();
    let Some(connected) = stop.run_until_cancelled(Box::pin(connect(&config.bus, issuer))).await else {
        return Ok(());
    };
    let (bus, proposer) = connected?;
    let (keeper, definitions) = (bus.clone(), vec![streams::ticks(bus.replicas())]);
    let stop = context.shutdown.token().clone();
    context.shutdown.spawn("streams", async move {
        keeper.keep_streams(definitions, stop).await;
        Ok::<(), Infallible>(())
    });
    let checked = bus.clone();
    context.readiness.register("bus", move || std::future::ready(checked.check()));
    let metrics = Metrics::register(&context.metrics)?;
    start_pollers(&context, &bus, &metrics)?;
    start_round_makers(&context, &bus, &proposer, &metrics);
    context.started();
    Ok(())
}

async fn connect(config: &BusConfig, issuer: SigningKey) -> Result<(Bus, Proposer), Error> {
    let bus = Bus::connect(config, NAME).await?;
    bus.ensure_streams(&[streams::ticks(bus.replicas())]).await?;
    let mut options = Options::new(NAME, Tenant::system()).issued_by(issuer);
    options.command_lifetime = COMMAND_LIFETIME;
    let client = Client::over(bus.client().clone(), options);
    Ok((bus, Proposer::new(client)))
}

fn start_pollers(context: &Context<Config>, bus: &Bus, metrics: &Metrics) -> Result<(), Error> {
    let http = fetch::client(&context.config.http)?;
    for (venue, sources) in context.config.sources()? {
        let budget = Arc::new(Budget::new(venue.rate_period_ms, venue.rate_burst));
        for source in sources {
            let poller = Poller {
                source,
                interval: Duration::from_millis(venue.interval_ms.get()),
                budget: Arc::clone(&budget),
                http: http.clone(),
                bus: bus.clone(),
                metrics: metrics.clone(),
            };
            let stop = context.shutdown.token().clone();
            context.shutdown.spawn("poller", async move {
                poller.run(stop).await;
                Ok::<(), Infallible>(())
            });
        }
    }
    Ok(())
}

fn start_round_makers(context: &Context<Config>, bus: &Bus, proposer: &Proposer, metrics: &Metrics) {
    for (pair, feed) in context.config.enabled_feeds() {
        let maker = RoundMaker {
            pair: pair.clone(),
            feed: feed.clone(),
            bus: bus.clone(),
            proposer: proposer.clone(),
            metrics: metrics.clone(),
            gate: context.readiness.gate(format!("feed {pair}"), "no observation yet"),
        };
        let stop = context.shutdown.token().clone();
        context.shutdown.spawn("round maker", async move {
            maker.run(stop).await;
            Ok::<(), Infallible>(())
        });
    }
}
