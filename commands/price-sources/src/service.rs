//! Puts the parts together: connections, one task a source, one task a feed.

use std::convert::Infallible;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nsl_bus::{Bus, BusConfig, DriftPolicy};
use nsl_client::{Client, ConnectError, Credentials, Options};
use nsl_schemas::nkey::{self, SigningKey};
use nsl_schemas::token::Tenant;
use nsl_telemetry::Context;
use zeroize::Zeroizing;

use crate::budget::Budget;
use crate::config::{self, Config};
use crate::metrics::Metrics;
use crate::poll::Poller;
use crate::proposer::{COMMAND_LIFETIME, Proposer};
use crate::rounds::RoundMaker;
use crate::{fetch, ticks};

const NAME: &str = env!("CARGO_PKG_NAME");

/// A seed file holds one line of 58 characters; more is a mistaken path.
const SEED_FILE_BYTES_MAX: u64 = 4096;

/// Why the service cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration contradicts itself.
    #[error("configuration")]
    Config(#[from] config::Error),
    /// The seed file cannot be read.
    #[error("cannot read issuer.seed_file {}", path.display())]
    SeedFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The seed file holds no seed.
    #[error("issuer.seed_file {} holds no SU… seed", path.display())]
    Seed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: nkey::Error,
    },
    /// No connection for observations.
    #[error("bus")]
    Bus(#[from] nsl_bus::connection::Error),
    /// The stream of observations is not as it must be.
    #[error("observation stream")]
    Stream(#[from] nsl_bus::stream::Error),
    /// No connection for commands.
    #[error("command client")]
    Client(#[from] ConnectError),
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
    let issuer = read_seed(&config.issuer.seed_file)?;
    let stop = context.shutdown.token().clone();
    let Some(connected) = stop.run_until_cancelled(Box::pin(connect(&config.bus, issuer))).await else {
        return Ok(());
    };
    let (bus, proposer) = connected?;
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
    bus.ensure_stream(&ticks::stream(), DriftPolicy::Update).await?;
    let mut options = Options::new(config.url.expose(), Tenant::system()).issued_by(issuer);
    options.command_lifetime = COMMAND_LIFETIME;
    if let (Some(user), Some(password)) = (&config.user, &config.password) {
        let password = password.expose().to_owned();
        options = options.authenticated_as(Credentials { user: user.clone(), password });
    }
    Ok((bus, Proposer::new(Client::connect(options).await?)))
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

fn read_seed(path: &Path) -> Result<SigningKey, Error> {
    let failed = |source| Error::SeedFile { path: path.to_owned(), source };
    let mut text = Zeroizing::new(String::new());
    File::open(path).map_err(failed)?.take(SEED_FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    SigningKey::parse_seed(&text).map_err(|source| Error::Seed { path: path.to_owned(), source })
}
