//! The running service: connects, starts every follower and answers questions.

use std::sync::Arc;

use nsl_bus::{Bus, connection};
use nsl_event_store::{ConnectError, EventReader};
use nsl_telemetry::{Context, metrics};
use sqlx::postgres::PgPool;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::announce::{self, Announcer};
use crate::config::Config;
use crate::database::{self, Database, Schema};
use crate::log_pages;
use crate::price_stream::{self, PricePublisher};
use crate::progress::{Gauges, Progress, described};
use crate::queries::{self, Queries};
use crate::read_model::ReadModel;
use crate::runner::{Runner, pause};
use crate::wake;

/// Sessions on the log: the followers read in turns of milliseconds.
const LOG_CONNECTIONS: u32 = 4;

/// Why the service cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log cannot be used.
    #[error("event log cannot be used")]
    Log(#[source] ConnectError),
    /// The read models' database cannot be used.
    #[error(transparent)]
    Read(#[from] database::Error),
    /// The bus refuses us.
    #[error(transparent)]
    Bus(#[from] connection::Error),
    /// A metric is refused.
    #[error(transparent)]
    Metrics(#[from] metrics::Error),
}

/// What everything here works on.
struct Connections {
    log: EventReader,
    pool: PgPool,
    bus: Bus,
}

/// Starts everything; the tasks run until the shutdown.
pub async fn run(context: Context<Config>) -> Result<(), Error> {
    let stop = context.shutdown.token().clone();
    let connected = tokio::select! {
        () = stop.cancelled() => return Ok(()),
        connected = connect(&context.config, &stop) => connected?,
    };
    let Some(connections) = connected else { return Ok(()) };
    let checked = connections.bus.clone();
    context.readiness.register("bus", move || std::future::ready(checked.check()));
    start(&context, connections)?;
    context.started();
    Ok(())
}

/// Waits for a database that is not there yet, and for the log's migrations, which the write side runs.
async fn connect(config: &Config, stop: &CancellationToken) -> Result<Option<Connections>, Error> {
    let database = Database::new(&config.read.url)?;
    let bus = Bus::connect(&config.bus, env!("CARGO_PKG_NAME")).await?;
    while !stop.is_cancelled() {
        let error = match open(config, &database).await {
            Ok((log, pool)) => return Ok(Some(Connections { log, pool, bus })),
            Err(error) => error,
        };
        match &error {
            Error::Log(ConnectError::Unavailable(_) | ConnectError::NotMigrated)
            | Error::Read(database::Error::Unavailable(_)) => {
                tracing::warn!(reason = described(&error), "waiting for the database");
            }
            _ => return Err(error),
        }
        pause(stop).await;
    }
    Ok(None)
}

async fn open(config: &Config, database: &Database) -> Result<(EventReader, PgPool), Error> {
    let log = EventReader::connect(config.log.url.expose(), LOG_CONNECTIONS).await.map_err(Error::Log)?;
    database.prepare(Schema::Live).await?;
    let pool = database.open(Schema::Live, config.read.connections.get()).await?;
    Ok((log, pool))
}

fn start(context: &Context<Config>, connections: Connections) -> Result<(), Error> {
    let gauges = Gauges::new(&context.metrics)?;
    let progress = |name| Progress::new(name, &gauges, &context.readiness);
    let heads = watch::Sender::new(0);

    let models = ReadModel::ALL.map(|model| (model, progress(model.name())));
    for (model, progress) in &models {
        start_model(context, &connections, *model, progress.clone(), heads.subscribe());
    }
    let (events, prices) = (progress(announce::NAME), progress(price_stream::NAME));
    start_event_stream(context, &connections, events.clone(), heads.subscribe());
    if let Some((_, followed)) = models.iter().find(|(model, _)| *model == ReadModel::Prices) {
        start_price_stream(context, &connections, followed.clone(), prices.clone());
    }

    let followers = models.into_iter().map(|(_, progress)| progress).chain([events, prices]).collect();
    let questions = Arc::new(Queries { pool: connections.pool, progress: followers });
    let (bus, stop) = (connections.bus, context.shutdown.token());
    let pages = log_pages::serve(connections.log, bus.clone(), stop.clone());
    context.shutdown.spawn(nsl_schemas::query::name::EVENTS, pages);
    for name in queries::NAMES {
        context.shutdown.spawn(name, Arc::clone(&questions).serve(bus.clone(), name, stop.clone()));
    }
    context.shutdown.spawn("wake", wake::listen(bus, heads, stop.clone()));
    Ok(())
}

fn start_model(
    context: &Context<Config>,
    connections: &Connections,
    model: ReadModel,
    progress: Progress,
    wake: watch::Receiver<u64>,
) {
    let Connections { log, pool, .. } = connections;
    let runner = Runner { model, log: log.clone(), pool: pool.clone(), progress };
    let stop = context.shutdown.token().clone();
    context.shutdown.spawn(model.name(), async move {
        runner.run(wake, stop).await;
        Ok::<(), Error>(())
    });
}

fn start_event_stream(
    context: &Context<Config>,
    connections: &Connections,
    progress: Progress,
    wake: watch::Receiver<u64>,
) {
    let Connections { log, bus, .. } = connections;
    let replicas = context.config.streams.replicas;
    let announcer = Announcer { log: log.clone(), bus: bus.clone(), replicas, progress };
    context.shutdown.spawn(announce::NAME, announcer.run(wake, context.shutdown.token().clone()));
}

fn start_price_stream(
    context: &Context<Config>,
    connections: &Connections,
    prices: Progress,
    progress: Progress,
) {
    let Connections { pool, bus, .. } = connections;
    let replicas = context.config.streams.replicas;
    let publisher = PricePublisher { pool: pool.clone(), bus: bus.clone(), replicas, prices, progress };
    let stop = context.shutdown.token().clone();
    context.shutdown.spawn(price_stream::NAME, async move {
        publisher.run(stop).await;
        Ok::<(), Error>(())
    });
}
