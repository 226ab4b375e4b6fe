//! A database, a bus without our streams, the keys of a log, and clients that speak as each of them.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use async_nats::jetstream;
use nsl_client::authority::{self, GrantTerms};
use nsl_client::{Client, Options, SendError};
use nsl_schemas::authority::{Build, GenesisManifest, Operators, Quorum, SealingProvider, Signed};
use nsl_schemas::bytes::{Pcr, Sha256};
use nsl_schemas::canonical;
use nsl_schemas::job::{CLASS_STANDARD, EnclaveJob};
use nsl_schemas::nkey::SigningKey;
use nsl_schemas::result::CommandResult;
use nsl_schemas::streams;
use nsl_schemas::subject::{self, CommandSubject};
use nsl_schemas::token::Tenant;
use nsl_verify::attestation::TrustRoot;
use serde::Serialize;
use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgPool};
use tempfile::TempDir;
use uuid::Uuid;

use crate::service::Service;

/// Far beyond what is awaited; reaching it is a failure.
const PATIENCE: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(20);
/// 2100-01-01.
const FAR_MS: u64 = 4_102_444_800_000;

/// The streams have fixed names, so tests take turns.
static BUS: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

pub(crate) fn key(number: u8) -> SigningKey {
    SigningKey::from_seed(&[number; 32])
}

/// Issues the clients' commands.
pub(crate) fn app_key() -> SigningKey {
    key(5)
}

/// Reports outcomes.
pub(crate) fn host_key() -> SigningKey {
    key(6)
}

/// Signs the reactor's commands.
fn reactor_key() -> SigningKey {
    key(7)
}

/// Signs outcomes.
pub(crate) fn worker_key() -> SigningKey {
    key(8)
}

pub(crate) fn acme() -> Tenant {
    Tenant::parse("acme").unwrap()
}

/// Looks until `look` finds something.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(POLL).await;
    }
}

pub(crate) struct World {
    pub(crate) database: String,
    pub(crate) pool: PgPool,
    bus: String,
    nats: async_nats::Client,
    jetstream: jetstream::Context,
    folder: TempDir,
    manifest: GenesisManifest,
}

/// Runs a test in a world of its own; a failed one leaves its folder and database.
pub(crate) async fn with_world(test: impl AsyncFnOnce(&World)) {
    let urls = (std::env::var("NSL_TEST_DATABASE_URL"), std::env::var("NSL_TEST_NATS_URL"));
    let (Ok(database), Ok(bus)) = urls else {
        eprintln!(
            "SKIPPED: NSL_TEST_DATABASE_URL and NSL_TEST_NATS_URL do not name a Postgres and a NATS server"
        );
        return;
    };
    let _turn = BUS.lock().await;
    let options: PgConnectOptions = database.parse().unwrap();
    let mut server = options.connect().await.unwrap();
    let name = format!("nsl_commands_{}", Uuid::now_v7().simple());
    sqlx::query(&format!("CREATE DATABASE {name}")).execute(&mut server).await.unwrap();
    let options = options.database(&name);
    let nats = async_nats::connect(&bus).await.unwrap();
    let jetstream = jetstream::new(nats.clone());
    for stream in [streams::COMMANDS, streams::RESULTS, streams::JOBS] {
        // An absent stream is as good as a deleted one.
        let _ = jetstream.delete_stream(stream).await;
    }
    let (folder, manifest) = ceremony();
    let world = World {
        database: options.to_url_lossy().to_string(),
        pool: PgPool::connect_with(options).await.unwrap(),
        bus,
        nats,
        jetstream,
        folder,
        manifest,
    };
    test(&world).await;
    world.pool.close().await;
    sqlx::query(&format!("DROP DATABASE {name} WITH (FORCE)")).execute(&mut server).await.unwrap();
}

/// The manifest and the reactor's seed, as files.
fn ceremony() -> (TempDir, GenesisManifest) {
    let folder = tempfile::tempdir().unwrap();
    let manifest = GenesisManifest {
        log_origin: "test".into(),
        quorum: Quorum { threshold: 1, keys: vec![key(1).public()] },
        attestation_root_sha256: Sha256(TrustRoot::aws_nitro().sha256()),
        // The build that the registered worker is of.
        builds: vec![Build {
            name: "test".into(),
            pcr0: Pcr([0; 48]),
            pcr1: Pcr([0; 48]),
            pcr2: Pcr([0; 48]),
        }],
        sealing_provider: SealingProvider::Development,
        created_at_ms: 1,
    };
    let signed = Signed::sign(manifest.clone(), &[&key(1)]);
    write_private(&folder.path().join("genesis.json"), &canonical::to_string(&signed));
    write_private(&folder.path().join("reactor.seed"), &SigningKey::seed_text(&[7; 32]));
    (folder, manifest)
}

fn write_private(path: &Path, text: &str) {
    let mut file = std::fs::File::options().write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

impl World {
    /// Starts the service; transfers that are asked for now are to be signed within the deadline.
    pub(crate) fn start(&self, signing_deadline_ms: u64) -> Service {
        self.start_with(signing_deadline_ms, &[])
    }

    /// The same with further settings.
    pub(crate) fn start_with(&self, signing_deadline_ms: u64, further: &[String]) -> Service {
        let mut settings = vec![format!("processor.signing_deadline_ms={signing_deadline_ms}")];
        settings.extend_from_slice(further);
        Service::start(self.folder.path(), &self.database, &self.bus, &settings)
    }

    /// Event 1.
    pub(crate) fn manifest(&self) -> &GenesisManifest {
        &self.manifest
    }

    /// Who speaks with a key, and reaches every tenant, as an operator does.
    pub(crate) fn client(&self, issuer: SigningKey) -> Client {
        Client::over(self.nats.clone(), Options::new("test", Tenant::system()).issued_by(issuer))
    }

    /// Begins the log: genesis, roots and grants; afterwards the service is gone, and the log is there to be written.
    pub(crate) async fn begin_log(&self) {
        let service = self.start(FAR_MS);
        let system = Tenant::system();
        self.register_root(&system, &key(2)).await;
        self.register_root(&acme(), &key(3)).await;
        self.grant(&system, &key(2), &host_key(), "wallet/*/record-outcome").await;
        self.grant(&system, &key(2), &reactor_key(), "wallet/*/expire-request").await;
        self.grant(&acme(), &key(3), &app_key(), "wallet/*/*").await;
        service.kill();
        let free =
            "SELECT count(*) FROM partition_lease WHERE owner IS NOT NULL AND expires_at > clock_timestamp()";
        until("the killed service's leases run out", async || (self.number(free).await == 0).then_some(()))
            .await;
    }

    async fn register_root(&self, tenant: &Tenant, root: &SigningKey) {
        let operators = Operators::of_genesis(&self.manifest);
        let payload = authority::register_root(&operators, tenant, root.public(), 1, &[&key(1)]).unwrap();
        self.send_authority(tenant, "register-root", &payload).await;
    }

    async fn grant(&self, tenant: &Tenant, root: &SigningKey, to: &SigningKey, scope: &str) {
        let terms = GrantTerms {
            key: to.public(),
            label: "test".into(),
            scopes: vec![authority::parse_scope(scope).unwrap()],
            not_before_ms: 1,
            expires_at_ms: FAR_MS,
        };
        let payload = authority::grant(&self.manifest, tenant, terms, root).unwrap();
        self.send_authority(tenant, "grant", &payload).await;
    }

    async fn send_authority<P: Serialize>(&self, tenant: &Tenant, verb: &str, payload: &P) {
        let subject = format!("nsl.v1.cmd.{tenant}.authority.root.{verb}");
        self.send(&self.client(app_key()), Uuid::now_v7(), &subject, payload).await.unwrap();
    }

    /// Sends a command until it is decided, however often the service is away.
    pub(crate) async fn send<P: Serialize>(
        &self,
        client: &Client,
        command_id: Uuid,
        subject: &str,
        payload: &P,
    ) -> Result<CommandResult, SendError> {
        let subject = CommandSubject::parse(subject).unwrap();
        let prepared = client.prepare_with_id(command_id, &subject, payload).unwrap();
        until("the command is decided", async || match client.send(&prepared).await {
            Err(SendError::Unavailable { .. } | SendError::OutcomeUnknown { .. }) => None,
            decided => Some(decided),
        })
        .await
    }

    pub(crate) async fn number(&self, query: &str) -> i64 {
        sqlx::query_scalar(query).fetch_one(&self.pool).await.unwrap()
    }

    /// How many events of this type the log has.
    pub(crate) async fn events(&self, event_type: &str) -> i64 {
        self.number(&format!("SELECT count(*) FROM events WHERE event_type = '{event_type}'")).await
    }

    /// What the reactor remembers but for when it last did something about it, once it is up with the log.
    pub(crate) async fn memory(&self) -> Vec<(Uuid, String, i64)> {
        let lag = "SELECT (SELECT position FROM log_head) - (SELECT position FROM reactor.checkpoint)";
        until("the reactor is up with the log", async || {
            let lag: Option<i64> = sqlx::query_scalar(lag).fetch_one(&self.pool).await.ok()?;
            (lag == Some(0)).then_some(())
        })
        .await;
        let query = "SELECT request_id, state, position FROM reactor.processes ORDER BY position";
        sqlx::query_as(query).fetch_all(&self.pool).await.unwrap()
    }

    /// The last job of this kind.
    pub(crate) async fn last_job(&self, kind: &str) -> Option<EnclaveJob> {
        let stream = self.jetstream.get_stream(streams::JOBS).await.ok()?;
        let message =
            stream.get_last_raw_message_by_subject(&subject::job(kind, CLASS_STANDARD)).await.ok()?;
        Some(canonical::from_slice(&message.payload).unwrap())
    }

    /// How many messages a stream was ever given.
    pub(crate) async fn given(&self, stream: &str) -> u64 {
        let mut stream = self.jetstream.get_stream(stream).await.unwrap();
        stream.info().await.unwrap().state.last_sequence
    }
}
