//! Puts the parts together: migrate, begin the log, hold partitions, process, react.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use nsl_bus::{Bus, StreamDefinition, partition, streams};
use nsl_event_store::{EventStore, Fence, MAX_COMMANDS_PER_BATCH, MigrateError, Options};
use nsl_schemas::token::Tenant;
use nsl_telemetry::Context;
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use crate::admission::Admission;
use crate::answers::Answers;
use crate::config::Config;
use crate::consumer::Intake;
use crate::directory::Directory;
use crate::limits::Limits;
use crate::metrics::CommandMetrics;
use crate::partitions::Partitions;
use crate::processor::{Parts, Processor};
use crate::reactor::{self, Health, Reactor};
use crate::{clock, follower, genesis};

/// Commands between the partitions' consumers and the processor: two full batches, so that a commit never waits for
/// the bus, and the bus holds the rest.
const QUEUE_COMMANDS: usize = 1024;
/// Pause before an absent database is tried again.
const DATABASE_RETRY: Duration = Duration::from_secs(1);
/// Sessions of the reactor: its memory's.
const REACTOR_CONNECTIONS: u32 = 2;

/// Runs the service until its shutdown.
pub async fn run(context: Context<Config>) -> anyhow::Result<()> {
    nsl_telemetry::failpoint::register(&crate::failpoints::ALL);
    let config = &context.config;
    let batch_commands_max = config.processor.batch_commands_max;
    anyhow::ensure!(
        (1..=MAX_COMMANDS_PER_BATCH).contains(&batch_commands_max),
        "processor.batch_commands_max is {batch_commands_max}, expected 1 to {MAX_COMMANDS_PER_BATCH}"
    );
    let (signed_genesis, genesis) = genesis::load(&config.processor.genesis_file).await?;
    let stop = context.shutdown.token().clone();
    let Some(store) = stop.run_until_cancelled(open_log(config)).await else { return Ok(()) };
    let store = store?;
    // A run is an owner of its own: two processes of one configured name fence each other off once and no more.
    let owner = format!("{}/{}", config.processor.name, Uuid::now_v7());
    begin_log(&store, config, &owner, &signed_genesis).await?;
    let bus = Bus::connect(&config.bus, "nsl-commands").await?;
    let definitions = stream_definitions(bus.replicas());
    bus.ensure_streams(&definitions).await?;
    let (keeper, stop) = (bus.clone(), context.shutdown.token().clone());
    context.shutdown.spawn("streams", async move {
        keeper.keep_streams(definitions, stop).await;
        Ok::<_, std::convert::Infallible>(())
    });
    let readiness_bus = bus.clone();
    context.readiness.register("bus", move || {
        let checked = readiness_bus.check();
        async move { checked }
    });
    let metrics = CommandMetrics::register(&context.metrics)?;
    let directory = Arc::new(Directory::of_genesis(&genesis.manifest));
    follower::catch_up(&store, &directory).await?;
    for aggregate_type in Directory::FOLLOWED {
        let follow = follower::follow(
            store.reader().clone(),
            Arc::clone(&directory),
            aggregate_type,
            context.shutdown.token().clone(),
        );
        context.shutdown.spawn("directory", follow);
    }
    spawn_reactor(&context, &store, &bus, &directory, &metrics).await?;
    spawn_processor(&context, store, bus, owner, genesis, directory, metrics);
    context.started();
    Ok(())
}

/// Migrates and opens the log, however long its server is away.
async fn open_log(config: &Config) -> anyhow::Result<EventStore> {
    let owner_url = config.log.owner_url.expose();
    while let Err(error) = EventStore::migrate(owner_url).await {
        let (MigrateError::Unavailable(_) | MigrateError::ReadOnly) = error else { return Err(error.into()) };
        tracing::warn!(error = &error as &dyn std::error::Error, "waiting for the log's database");
        tokio::time::sleep(DATABASE_RETRY).await;
    }
    reactor::migrate(owner_url).await?;
    Ok(EventStore::connect(config.log.url.expose(), Options::default()).await?)
}

/// The streams that this service takes from and answers to.
fn stream_definitions(replicas: u8) -> Vec<StreamDefinition> {
    vec![
        partition::command_stream(replicas),
        streams::results(replicas),
        streams::jobs(replicas),
        streams::parked(replicas),
    ]
}

/// The first event is appended under a lease like every other; partition 0 stands for the log's beginning.
async fn begin_log(
    store: &EventStore,
    config: &Config,
    owner: &str,
    signed: &nsl_schemas::authority::Signed<nsl_schemas::authority::GenesisManifest>,
) -> anyhow::Result<()> {
    if store.head().await? > 0 {
        let unused = Fence { partition: 0, epoch: 0 };
        return Ok(genesis::ensure(store, unused, signed).await?);
    }
    let ttl = Duration::from_millis(config.processor.lease_ttl_ms);
    let fences: Vec<Fence> = store.take_partitions(owner, &[0], ttl).await?;
    // Where another processor holds the partition, the log has begun and is only compared.
    let fence = fences.first().copied().unwrap_or(Fence { partition: 0, epoch: 1 });
    genesis::ensure(store, fence, signed).await?;
    Ok(())
}

async fn spawn_reactor(
    context: &Context<Config>,
    store: &EventStore,
    bus: &Bus,
    directory: &Arc<Directory>,
    metrics: &CommandMetrics,
) -> anyhow::Result<()> {
    if !context.config.reactor.enabled {
        return Ok(());
    }
    let seed_file = context.config.issuer.seed_file.as_deref();
    let seed_file = seed_file.context("reactor.enabled needs issuer.seed_file, the key of its commands")?;
    let issuer = nsl_client::issuer::read(seed_file)?;
    // The connection is the service's; address and credentials of the options are not looked at.
    let options = nsl_client::Options::new("nsl-commands", Tenant::system()).issued_by(issuer);
    let client = nsl_client::Client::over(bus.client().clone(), options);
    let memory: sqlx::postgres::PgConnectOptions = context.config.reactor.url.expose().parse()?;
    let pool = sqlx::postgres::PgPoolOptions::new()
        .max_connections(REACTOR_CONNECTIONS)
        // What a crash takes from the memory is made again from the log, so its commits need not wait for the disk,
        // which the log's do.
        .connect_with(memory.options([("synchronous_commit", "off")]))
        .await?;
    let reactor = Reactor {
        reader: store.reader().clone(),
        bus: bus.clone(),
        directory: Arc::clone(directory),
        metrics: metrics.clone(),
        health: Health::new(context.readiness.gate("reactor", "starting"), metrics.clone()),
        client,
        pool,
        republish_after: Duration::from_millis(context.config.reactor.republish_after_ms),
    };
    let (wake, stop): (watch::Receiver<u64>, _) = (store.head_changes(), context.shutdown.token().clone());
    context.shutdown.spawn("reactor", async move {
        reactor.run(wake, stop).await;
        Ok::<_, std::convert::Infallible>(())
    });
    Ok(())
}

fn spawn_processor(
    context: &Context<Config>,
    store: EventStore,
    bus: Bus,
    owner: String,
    genesis: Arc<nsl_domain::decision::Genesis>,
    directory: Arc<Directory>,
    metrics: CommandMetrics,
) {
    let config = &context.config.processor;
    let limits = Limits::new(context.config.limits.clone());
    let answers = Answers::new(bus.client().clone());
    let (sender, receiver) = mpsc::channel(QUEUE_COMMANDS);
    let partitions = Partitions {
        store: store.clone(),
        owner,
        lease_ttl: Duration::from_millis(config.lease_ttl_ms),
        intake: Arc::new(Intake { bus, queue: sender, answers: answers.clone(), metrics: metrics.clone() }),
        gate: context.readiness.gate("partitions", "no lease taken yet"),
    };
    let log_gate = context.readiness.gate("log", "nothing committed yet");
    log_gate.open();
    let processor = Processor::new(Parts {
        log: store,
        outbox: answers,
        clock: clock::now_ms,
        admission: Admission::new(limits),
        genesis,
        directory,
        signing_ms: config.signing_deadline_ms,
        metrics,
        log_gate,
        cache_aggregates_max: config.cache_aggregates_max,
        batch_commands_max: config.batch_commands_max,
    });
    let stop = context.shutdown.token().clone();
    context.shutdown.spawn("partitions", async move {
        partitions.run(stop).await;
        Ok::<_, std::convert::Infallible>(())
    });
    let stop = context.shutdown.token().clone();
    context.shutdown.spawn("processor", async move {
        processor.run(receiver, stop).await;
        Ok::<_, std::convert::Infallible>(())
    });
}
