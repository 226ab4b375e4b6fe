//! The service's start: who signs, whom to trust, which workers, which jobs.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use nsl_bus::consumer::{self, Consumer, ConsumerDefinition, Start, State};
use nsl_bus::{Bus, DriftPolicy, streams as definitions};
use nsl_client::{Client, Options, issuer};
use nsl_enclave_protocol::channel::Health;
use nsl_enclave_protocol::{Endpoint, Pool, PoolOptions, pool};
use nsl_schemas::authority::SealingProvider;
use nsl_schemas::job::ENCLAVE_KINDS;
use nsl_schemas::token::Tenant;
use nsl_schemas::{streams, subject};
use nsl_telemetry::Context;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::admission::Gatekeeper;
use crate::attestations;
use crate::config::{self, Config};
use crate::genesis::{self, Demands};
use crate::job::Desk;
use crate::kms;
use crate::lane::Lane;
use crate::launcher::{Board, Launcher, Orders, Reload};
use crate::metrics::Metrics;
use crate::pings::{Pings, why_not_connected};
use crate::questions::Questions;
use crate::sealing::{self, ByKms};
use crate::views::Views;

const NAME: &str = env!("CARGO_PKG_NAME");
/// Between two looks at the workers' health for the metric: fresher than any scrape.
const HEALTH_INTERVAL: Duration = Duration::from_secs(1);
/// Pause before asking again for the job stream, which the command service makes at its own start.
const STREAM_PAUSE: Duration = Duration::from_millis(500);
/// Hosts that share the consumers: far more than there are parent instances in a site.
const HOSTS_MAX: u32 = 64;

/// Why the service cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration contradicts itself.
    #[error("configuration")]
    Config(#[from] config::Error),
    /// No key to sign with.
    #[error(transparent)]
    Issuer(#[from] issuer::Error),
    /// No manifest to judge workers by.
    #[error(transparent)]
    Genesis(#[from] genesis::Error),
    /// No bus.
    #[error("bus")]
    Bus(#[from] nsl_bus::connection::Error),
    /// The workers' endpoints are not a pool.
    #[error("workers.endpoints")]
    Pool(#[from] pool::Error),
    /// A consumer is not as it must be.
    #[error("job consumer")]
    Consumer(#[from] consumer::Error),
    /// SIGHUP cannot be listened to.
    #[error("signals")]
    Signals(#[source] std::io::Error),
    /// A metric was refused.
    #[error("metrics")]
    Metrics(#[from] nsl_telemetry::metrics::Error),
}

/// Starts every task and returns; they end with the context's shutdown. `reload` reads `[pool]` again.
pub async fn run(context: Context<Config>, reload: Reload) -> Result<(), Error> {
    nsl_telemetry::failpoint::register(&crate::failpoints::ALL);
    let config = &context.config;
    let orders = Orders::listen(reload).map_err(Error::Signals)?;
    // Before a bus is waited for, perhaps for long.
    config.check()?;
    let metrics = Metrics::register(&context.metrics)?;
    let connecting = Box::pin(Bus::connect(&config.bus, NAME));
    let Some(bus) = context.shutdown.token().run_until_cancelled(connecting).await else {
        return Ok(());
    };
    let bus = bus?;
    keep_streams(&context, &bus);
    let demands = genesis::read(&config.genesis.file).await?;
    let seals_by_kms = matches!(demands.operators.sealing_provider(), SealingProvider::AwsKms(_));
    let (desk, gatekeeper) = open_desk(&context, &bus, demands)?;
    relay_to_kms(&context, seals_by_kms)?;
    tend_sealing_keys(&context, &bus, &desk, seals_by_kms);
    watch_health(&context, &bus, &desk.pool, &metrics);
    let stop = context.shutdown.token().clone();
    let serving = attestations::serve(bus.clone(), desk.pool.clone(), desk.call_timeout, stop);
    context.shutdown.spawn("attestations", serving);
    // Workers outlive the lanes, which finish the jobs that they took.
    let lanes_ended = CancellationToken::new();
    let lanes_run = Arc::new(lanes_ended.clone().drop_guard());
    keep_workers(&context, &bus, &desk, gatekeeper, &metrics, orders, lanes_ended)?;
    for kind in ENCLAVE_KINDS {
        if !start_lanes(&context, kind, &bus, &desk, &metrics, &lanes_run).await? {
            return Ok(());
        }
    }
    context.started();
    Ok(())
}

/// Pings the workers, starts those of `[pool]`, and tells operators about all of them.
fn keep_workers(
    context: &Context<Config>,
    bus: &Bus,
    desk: &Desk,
    gatekeeper: Arc<Gatekeeper>,
    metrics: &Metrics,
    orders: Orders,
    lanes_ended: CancellationToken,
) -> Result<(), Error> {
    let (pings, board) = (Pings::default(), Board::default());
    let Desk { pool, views, .. } = desk;
    let workers = &context.config.workers;
    let every = Duration::from_millis(workers.ping_interval_ms.get());
    let timeout = Duration::from_millis(workers.ping_timeout_ms.get());
    let pinging = pings.clone().run(pool.clone(), every, timeout, lanes_ended.clone());
    context.shutdown.spawn("worker pings", async move {
        pinging.await;
        Ok::<(), Infallible>(())
    });
    let (host, pool, views) = (host_name(), pool.clone(), Arc::clone(views));
    let questions =
        Questions { host, pool: pool.clone(), board: board.clone(), gatekeeper, views: Arc::clone(&views) };
    context.shutdown.spawn("questions", questions.serve(bus.clone(), context.shutdown.token().clone()));
    let blueprint = context.config.blueprint()?;
    let launcher = Launcher::new(pool, views, pings, metrics.clone(), board, blueprint, orders);
    context.shutdown.spawn("workers", async move {
        launcher.run(lanes_ended).await;
        Ok::<(), Infallible>(())
    });
    Ok(())
}

/// The machine and the process.
fn host_name() -> String {
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}-{}", machine.trim(), std::process::id())
}

/// Where jobs come from and where those go that nobody can do.
fn keep_streams(context: &Context<Config>, bus: &Bus) {
    let definitions = vec![definitions::jobs(bus.replicas()), definitions::parked(bus.replicas())];
    let (bus, stop) = (bus.clone(), context.shutdown.token().clone());
    context.shutdown.spawn("streams", async move {
        bus.keep_streams(definitions, stop).await;
        Ok::<(), Infallible>(())
    });
}

/// The pool of workers, admitted by this site's manifest, and the client that reports for them.
fn open_desk(
    context: &Context<Config>,
    bus: &Bus,
    demands: Demands,
) -> Result<(Desk, Arc<Gatekeeper>), Error> {
    let config = &context.config;
    let issuer = issuer::read(&config.issuer.seed_file)?;
    let options = Options::new(NAME, Tenant::system()).issued_by(issuer);
    let client = Client::over(bus.client().clone(), options);
    let admission_timeout = Duration::from_millis(config.workers.admission_timeout_ms.get());
    let gatekeeper = Arc::new(Gatekeeper::new(client.clone(), demands, admission_timeout));
    let (following, stop) = (Arc::clone(&gatekeeper), context.shutdown.token().clone());
    context.shutdown.spawn("operators", async move {
        following.follow(stop).await;
        Ok::<(), Infallible>(())
    });
    let options = PoolOptions { admission: Some(gatekeeper.clone()), ..PoolOptions::default() };
    let pool = Pool::open(config.endpoints()?, options)?;
    let call_timeout = Duration::from_millis(config.jobs.call_timeout_ms.get());
    let views = Views::new(client.clone(), pool.clone(), Arc::clone(&gatekeeper), admission_timeout);
    let views = Arc::new(views);
    let (keeping, stop) = (Arc::clone(&views), context.shutdown.token().clone());
    context.shutdown.spawn("pool view", async move {
        keeping.keep(stop).await;
        Ok::<(), Infallible>(())
    });
    Ok((Desk { client, pool, views, call_timeout }, gatekeeper))
}

/// Carries workers' connections to KMS, where any are.
fn relay_to_kms(context: &Context<Config>, seals_by_kms: bool) -> Result<(), config::Error> {
    let config = &context.config.kms;
    if seals_by_kms && !config.is_used() {
        return Err(kms::ConfigError::NotRelayed.into());
    }
    for endpoint in config.endpoints()? {
        let relay = kms::relay::serve(endpoint, config.clone(), context.shutdown.token().clone());
        context.shutdown.spawn("kms relay", relay);
    }
    Ok(())
}

/// Carries what custodians and workers say to each other about sealing keys, and has KMS asked for those that it keeps.
fn tend_sealing_keys(context: &Context<Config>, bus: &Bus, desk: &Desk, seals_by_kms: bool) {
    let config = &context.config;
    let timeout = Duration::from_millis(config.workers.admission_timeout_ms.get());
    let by_kms = seals_by_kms.then(|| ByKms::new(desk.client.clone(), config.kms.clone()));
    let relay = Arc::new(sealing::Relay::new(desk.pool.clone(), timeout, by_kms));
    let (serving, bus, stop) = (Arc::clone(&relay), bus.clone(), context.shutdown.token().clone());
    context.shutdown.spawn("sealing questions", async move { serving.serve(&bus, stop).await });
    let stop = context.shutdown.token().clone();
    context.shutdown.spawn("sealing keys", async move {
        relay.spread(stop).await;
        Ok::<(), Infallible>(())
    });
}

/// Starts the lanes of a kind; false when the service stops before its consumer is there.
async fn start_lanes(
    context: &Context<Config>,
    kind: &'static str,
    bus: &Bus,
    desk: &Desk,
    metrics: &Metrics,
    lanes_run: &Arc<DropGuard>,
) -> Result<bool, Error> {
    let (config, stop) = (&context.config, context.shutdown.token());
    let lanes = config.lanes_per_kind()?;
    let definition = consumer_definition(kind, config, lanes);
    let Some(consumer) = consumer(bus, &definition, stop).await? else { return Ok(false) };
    let lane = Lane {
        kind,
        bus: bus.clone(),
        consumer,
        definition,
        desk: desk.clone(),
        metrics: metrics.clone(),
        ack_wait: Duration::from_millis(config.jobs.ack_wait_ms.get()),
        retry_delay: Duration::from_millis(config.jobs.retry_delay_ms.get()),
    };
    for _ in 0..lanes {
        let (lane, stop, running) = (lane.clone(), stop.clone(), Arc::clone(lanes_run));
        context.shutdown.spawn("job lane", async move {
            lane.run(stop).await;
            drop(running);
            Ok::<(), Infallible>(())
        });
    }
    Ok(true)
}

/// One consumer a kind: a work queue gives each job to one of them, and a flood of one kind holds up no other.
fn consumer_definition(kind: &str, config: &Config, lanes: u16) -> ConsumerDefinition {
    ConsumerDefinition {
        stream: streams::JOBS.to_owned(),
        name: format!("enclave-host-{kind}"),
        filter_subject: subject::job(kind, "*"),
        start: Start::All,
        ack_wait_ms: config.jobs.ack_wait_ms.get(),
        max_deliver: None,
        // Several hosts share the consumer; each takes at most its lanes.
        max_ack_pending: u32::from(lanes).saturating_mul(HOSTS_MAX),
        state: State::AsStream,
    }
}

/// Waits for the stream, then makes the consumer; none when the service stops first.
async fn consumer(
    bus: &Bus,
    definition: &ConsumerDefinition,
    stop: &CancellationToken,
) -> Result<Option<Consumer>, Error> {
    loop {
        match bus.ensure_consumer(definition, DriftPolicy::Update).await {
            Ok((consumer, _)) => return Ok(Some(consumer)),
            Err(error @ consumer::Error::Drift { .. }) => return Err(error.into()),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "job stream not ready");
                if stop.run_until_cancelled(tokio::time::sleep(STREAM_PAUSE)).await.is_none() {
                    return Ok(None);
                }
            }
        }
    }
}

/// Readiness of bus and workers, and the metric of each worker.
fn watch_health(context: &Context<Config>, bus: &Bus, pool: &Pool, metrics: &Metrics) {
    let bus = bus.clone();
    context.readiness.register("bus", move || std::future::ready(bus.check()));
    let checked = pool.clone();
    context.readiness.register("workers", move || std::future::ready(check_workers(&checked)));
    let (pool, metrics, stop) = (pool.clone(), metrics.clone(), context.shutdown.token().clone());
    context.shutdown.spawn("worker health", async move {
        let mut looks = tokio::time::interval(HEALTH_INTERVAL);
        let mut answered = BTreeMap::new();
        while stop.run_until_cancelled(looks.tick()).await.is_some() {
            tell_health(&pool, &metrics, &mut answered);
        }
        Ok::<(), Infallible>(())
    });
}

/// Sets each worker's metrics; `answered` is what the counters have of those that are there.
fn tell_health(pool: &Pool, metrics: &Metrics, answered: &mut BTreeMap<Endpoint, u64>) {
    let members = pool.health();
    answered.retain(|endpoint, _| {
        let is_here = members.iter().any(|member| member.endpoint == *endpoint);
        if !is_here {
            metrics.forget_worker(&endpoint.to_string());
        }
        is_here
    });
    for member in members {
        let label = [member.endpoint.to_string()];
        let is_up = matches!(member.connection, Health::Ready);
        metrics.worker_up.with_label_values(&label).set(i64::from(is_up));
        metrics.worker_left_alone.with_label_values(&label).set(i64::from(member.is_left_alone));
        let in_flight = i64::try_from(member.outstanding).unwrap_or(i64::MAX);
        metrics.worker_calls_in_flight.with_label_values(&label).set(in_flight);
        let before = answered.insert(member.endpoint, member.answered).unwrap_or_default();
        // Fewer than before: another worker has come to the endpoint, and begins anew.
        let more = member.answered.checked_sub(before).unwrap_or(member.answered);
        metrics.worker_calls.with_label_values(&label).inc_by(more);
    }
}

/// One worker is enough to work; with none, the reasons are told.
fn check_workers(pool: &Pool) -> Result<(), String> {
    let mut reasons = Vec::new();
    for member in pool.health() {
        match why_not_connected(&member) {
            None => return Ok(()),
            Some(cause) => reasons.push(format!("{}: {cause}", member.endpoint)),
        }
    }
    if reasons.is_empty() {
        Err("no worker has been started yet".to_owned())
    } else {
        Err(reasons.join("; "))
    }
}
