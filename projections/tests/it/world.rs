//! A database with an empty log and empty read models, followers that run on it, and the bus.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use nsl_bus::{Bus, BusConfig};
use nsl_config::Secret;
use nsl_event_store::{CommandAppend, EventStore, Fence, NewEvent, Options};
use nsl_projections::database::{Database, Schema};
use nsl_projections::progress::{Gauges, Progress};
use nsl_projections::read_model::ReadModel;
use nsl_projections::runner::Runner;
use nsl_schemas::canonical;
use nsl_schemas::event::WireEvent;
use nsl_telemetry::{Metrics, Readiness};
use serde::Serialize;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool};
use sqlx::{ConnectOptions, Connection};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Longer than anything takes; a test that waits so long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The streams and questions have fixed names, so tests on the bus take turns.
static BUS: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

pub(crate) struct World {
    pub(crate) url: String,
    pub(crate) store: EventStore,
    pub(crate) pool: PgPool,
    fence: Fence,
    versions: Mutex<HashMap<(String, String), u64>>,
    metrics: Metrics,
    pub(crate) readiness: Readiness,
    gauges: Gauges,
}

/// A follower under test.
pub(crate) struct Running {
    pub(crate) progress: Progress,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) async fn reaches(&self, position: u64) {
        assert!(self.progress.reaches(position, PATIENCE).await, "{:?}", self.progress.status());
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

/// Runs a test in a world of its own.
pub(crate) async fn with_world(test: impl AsyncFnOnce(&World)) {
    let Ok(url) = std::env::var("NSL_TEST_DATABASE_URL") else {
        eprintln!("SKIPPED: NSL_TEST_DATABASE_URL is not set, so there is no Postgres to test against");
        return;
    };
    let options: PgConnectOptions = url.parse().unwrap();
    let mut server = options.connect().await.unwrap();
    let name = format!("nsl_projections_{}", Uuid::now_v7().simple());
    sqlx::query(&format!("CREATE DATABASE {name}")).execute(&mut server).await.unwrap();
    let world = World::new(options.database(&name).to_url_lossy().to_string()).await;
    test(&world).await;
    world.pool.close().await;
    sqlx::query(&format!("DROP DATABASE {name} WITH (FORCE)")).execute(&mut server).await.unwrap();
    server.close().await.unwrap();
}

/// As [`with_world`], alone on the bus, whose streams are gone.
pub(crate) async fn with_bus(test: impl AsyncFnOnce(&World, &Bus)) {
    let Ok(url) = std::env::var("NSL_TEST_NATS_URL") else {
        eprintln!("SKIPPED: NSL_TEST_NATS_URL is not set, so there is no nats-server to test against");
        return;
    };
    let _turn = BUS.lock().await;
    let config: BusConfig =
        toml::from_str(&format!("url = {url:?}\nconnect_timeout_ms = 2000\nrequest_timeout_ms = 5000"))
            .unwrap();
    let bus = Bus::connect(&config, "nsl-projections test").await.unwrap();
    delete_streams(&bus).await;
    with_world(async |world| test(world, &bus).await).await;
    delete_streams(&bus).await;
}

async fn delete_streams(bus: &Bus) {
    for stream in [nsl_schemas::streams::EVENTS, nsl_schemas::streams::PRICES] {
        // An absent stream is as good as a deleted one.
        let _ = bus.jetstream().delete_stream(stream).await;
    }
}

/// Waits until a condition holds that nobody announces.
pub(crate) async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !condition().await {
        assert!(tokio::time::Instant::now() < deadline, "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

impl World {
    async fn new(url: String) -> Self {
        EventStore::migrate(&url).await.unwrap();
        let store = EventStore::connect(&url, Options::default()).await.unwrap();
        let fence = store.take_partitions("test", &[0], Duration::from_mins(5)).await.unwrap()[0];
        let database = Database::new(&Secret::new(url.clone())).unwrap();
        database.prepare(Schema::Live).await.unwrap();
        let pool = database.open(Schema::Live, 8).await.unwrap();
        let metrics = Metrics::new().unwrap();
        let gauges = Gauges::new(&metrics).unwrap();
        let versions = Mutex::default();
        Self { url, store, pool, fence, versions, metrics, readiness: Readiness::default(), gauges }
    }

    pub(crate) fn progress(&self, name: &'static str) -> Progress {
        Progress::new(name, &self.gauges, &self.readiness)
    }

    pub(crate) fn metrics(&self) -> String {
        String::from_utf8(self.metrics.encode().unwrap()).unwrap()
    }

    /// A session whose search path is the live schema.
    pub(crate) async fn session(&self) -> PgConnection {
        Database::new(&Secret::new(self.url.clone())).unwrap().session(Schema::Live).await.unwrap()
    }

    pub(crate) async fn execute(&self, statement: &str) {
        sqlx::raw_sql(statement).execute(&mut self.session().await).await.unwrap();
    }

    pub(crate) async fn number(&self, query: &str) -> i64 {
        sqlx::query_scalar(query).fetch_one(&mut self.session().await).await.unwrap()
    }

    /// Appends an event and answers its position.
    pub(crate) async fn append<E: WireEvent + Serialize>(&self, aggregate: &str, id: &str, event: &E) -> u64 {
        self.append_text(aggregate, id, event.event_name(), canonical::to_string(event)).await
    }

    /// Appends whatever the text says, in the version that every event began with.
    pub(crate) async fn append_text(&self, aggregate: &str, id: &str, name: &str, payload: String) -> u64 {
        self.append_version(aggregate, id, name, nsl_schemas::event::VERSION, payload).await
    }

    /// Appends whatever the text says, in whatever version.
    pub(crate) async fn append_version(
        &self,
        aggregate: &str,
        id: &str,
        name: &str,
        version: &str,
        payload: String,
    ) -> u64 {
        let expected_version = {
            let mut versions = self.versions.lock().unwrap();
            let version = versions.entry((aggregate.to_owned(), id.to_owned())).or_default();
            *version += 1;
            *version - 1
        };
        let command_id = Uuid::now_v7();
        let event = NewEvent {
            event_id: nsl_schemas::ids::event_id(command_id, 0),
            event_type: name.to_owned(),
            event_version: version.to_owned(),
            payload,
            metadata: "{}".to_owned(),
        };
        let command = CommandAppend {
            command_id,
            issuer: "UISSUER".into(),
            request_hash: [7; 32],
            subject: "nsl.v1.cmd.acme.wallet.main.create".into(),
            envelope: "{}".into(),
            payload: "{}".into(),
            answer: "{}".into(),
            aggregate_type: aggregate.to_owned(),
            aggregate_id: id.to_owned(),
            expected_version,
            events: vec![event],
            fence: self.fence,
        };
        self.store.append(&[command]).await.unwrap().first_position
    }

    /// Runs a read model.
    pub(crate) fn run(&self, model: ReadModel) -> Running {
        let progress = self.progress(model.name());
        let stop = CancellationToken::new();
        let log = self.store.reader().clone();
        let runner = Runner { model, log, pool: self.pool.clone(), progress: progress.clone() };
        let task = tokio::spawn(runner.run(self.store.head_changes(), stop.clone()));
        Running { progress, stop, task }
    }

    /// Runs a read model until it holds a position, then stops it.
    pub(crate) async fn project(&self, model: ReadModel, position: u64) {
        let running = self.run(model);
        running.reaches(position).await;
        running.stop().await;
    }
}

pub(crate) fn spawned<F>(progress: Progress, run: impl FnOnce(CancellationToken) -> F) -> Running
where
    F: Future<Output = ()> + Send + 'static,
{
    let stop = CancellationToken::new();
    Running { progress, task: tokio::spawn(run(stop.clone())), stop }
}
