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
use crate::database::{self, Database};
use crate::fault::{Pace, described};
use crate::price_stream::{self, PricePublisher};
use crate::progress::{self, Gauges, Progress};
use crate::queries::{self, Queries};
use crate::read_model::{self, Definition};
use crate::runner::{Runner, pause};
use crate::wake;
use crate::{log_pages, operator_acts, sealing_records};

/// Sessions on the log: one reads ahead for each follower, one asks for the head.
const LOG_CONNECTIONS: u32 = 6;

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
    database: Database,
    pool: PgPool,
    bus: Bus,
}

/// Starts everything; the tasks run until the shutdown.
pub async fn run(context: Context<Config>) -> Result<(), Error> {
    nsl_telemetry::failpoint::register(&crate::failpoints::ALL);
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
            Ok((log, pool)) => return Ok(Some(Connections { log, database, pool, bus })),
            Err(error) => error,
        };
        match &error {
            Error::Log(ConnectError::Unavailable(_) | ConnectError::NotMigrated)
            | Error::Read(database::Error::Unavailable(_)) => {
                tracing::warn!(reason = described(&error), "waiting for the database");
            }
            _ => return Err(error),
        }
        pause(Pace::default().first, stop).await;
    }
    Ok(None)
}

async fn open(config: &Config, database: &Database) -> Result<(EventReader, PgPool), Error> {
    let log = EventReader::connect(config.log.url.expose(), LOG_CONNECTIONS).await.map_err(Error::Log)?;
    database.prepare().await?;
    let pool = database.open(&read_model::ALL, config.read.connections.get()).await?;
    Ok((log, pool))
}

fn start(context: &Context<Config>, connections: Connections) -> Result<(), Error> {
    let gauges = Gauges::new(&context.metrics)?;
    let progress = |name, version| Progress::new(name, version, &gauges, &context.readiness);
    let heads = watch::Sender::new(0);

    let models = read_model::ALL.map(|model| (model, progress(model.name, model.version)));
    for (model, progress) in &models {
        start_model(context, &connections, model, progress.clone(), heads.subscribe());
    }
    let (events, prices) = (progress(announce::NAME, 1), progress(price_stream::NAME, 1));
    start_event_stream(context, &connections, events.clone(), heads.subscribe());
    if let Some((_, followed)) = models.iter().find(|(model, _)| model.name == read_model::PRICES.name) {
        start_price_stream(context, &connections, followed.clone(), prices.clone());
    }

    let followers: Vec<_> =
        models.into_iter().map(|(_, progress)| progress).chain([events, prices]).collect();
    let measuring = progress::measure(followers.clone(), context.shutdown.token().clone());
    context.shutdown.spawn("measure", infallible(measuring));
    let questions = Arc::new(Queries { pool: connections.pool, progress: followers });
    let (bus, stop) = (connections.bus, context.shutdown.token());
    let acts = operator_acts::serve(connections.log.clone(), bus.clone(), stop.clone());
    context.shutdown.spawn(nsl_schemas::query::name::OPERATOR_ACTS, acts);
    let records = sealing_records::serve(connections.log.clone(), bus.clone(), stop.clone());
    context.shutdown.spawn(nsl_schemas::query::name::SEALING_RECORDS, records);
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
    definition: &'static Definition,
    progress: Progress,
    wake: watch::Receiver<u64>,
) {
    let Connections { log, database, pool, .. } = connections;
    let runner = Runner {
        definition,
        log: log.clone(),
        database: database.clone(),
        pool: pool.clone(),
        progress,
        pace: Pace::default(),
    };
    context.shutdown.spawn(definition.name, infallible(runner.run(wake, context.shutdown.token().clone())));
}

fn start_event_stream(
    context: &Context<Config>,
    connections: &Connections,
    progress: Progress,
    wake: watch::Receiver<u64>,
) {
    let Connections { log, bus, .. } = connections;
    let (log, bus) = (log.clone(), bus.clone());
    let announcer = Announcer { log, bus, progress, pace: Pace::default() };
    context.shutdown.spawn(announce::NAME, infallible(announcer.run(wake, context.shutdown.token().clone())));
}

fn start_price_stream(
    context: &Context<Config>,
    connections: &Connections,
    prices: Progress,
    progress: Progress,
) {
    let Connections { pool, bus, .. } = connections;
    let (pool, bus) = (pool.clone(), bus.clone());
    let publisher = PricePublisher { pool, bus, prices, progress, pace: Pace::default() };
    context.shutdown.spawn(price_stream::NAME, infallible(publisher.run(context.shutdown.token().clone())));
}

/// A follower deals with its own failures: none of them ends the process, which would end the others.
async fn infallible(run: impl Future<Output = ()>) -> Result<(), Error> {
    run.await;
    Ok(())
}
