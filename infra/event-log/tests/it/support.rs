//! A database for one test with a log as the command processor writes it, and the tool as a process.

use std::process::{Command, Output};
use std::time::Duration;

use nsl_event_store::{CommandAppend, EventStore, Fence, NewEvent, Options};
use nsl_schemas::authority::{Build, GenesisManifest, Quorum, SealingProvider, Signed};
use nsl_schemas::bytes::{Pcr, Sha256};
use nsl_schemas::canonical;
use nsl_schemas::envelope::SignedCommand;
use nsl_schemas::event::authority::{AuthorityEvent, GenesisRecorded};
use nsl_schemas::event::rejection::{self, CommandRejected};
use nsl_schemas::event::{Metadata, WireEvent as _};
use nsl_schemas::ids;
use nsl_schemas::nkey::SigningKey;
use nsl_schemas::number::UnixMs;
use nsl_schemas::result::Answer;
use nsl_schemas::subject::CommandSubject;
use serde_json::Value;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _};
use uuid::Uuid;

const URL_VARIABLE: &str = "NSL_TEST_DATABASE_URL";

/// A database of one test.
pub(crate) struct Database {
    options: PgConnectOptions,
}

impl Database {
    pub(crate) fn url(&self) -> String {
        self.options.to_url_lossy().to_string()
    }

    pub(crate) async fn session(&self) -> PgConnection {
        self.options.connect().await.unwrap()
    }

    pub(crate) async fn execute(&self, statement: &str) {
        sqlx::raw_sql(statement).execute(&mut self.session().await).await.unwrap();
    }

    pub(crate) async fn number(&self, query: &str) -> i64 {
        sqlx::query_scalar(query).fetch_one(&mut self.session().await).await.unwrap()
    }

    /// Changes recorded rows, as somebody with the owner's rights can who first takes the triggers away.
    pub(crate) async fn alter(&self, statement: &str) {
        const UNPROTECTED: &str = "DO $$ DECLARE t regclass; BEGIN FOR t IN
            SELECT tgrelid::regclass FROM pg_trigger WHERE tgname = 'append_only' AND tgparentid = 0
            LOOP EXECUTE format('ALTER TABLE %s DISABLE TRIGGER append_only', t); END LOOP; END $$";
        self.execute(&format!("{UNPROTECTED}; {statement}")).await;
    }

    pub(crate) async fn store(&self) -> EventStore {
        EventStore::connect(&self.url(), Options::default()).await.unwrap()
    }

    /// Runs the tool on this database.
    pub(crate) fn tool(&self, arguments: &[&str]) -> Ran {
        run(Command::new(env!("CARGO_BIN_EXE_nsl-event-log"))
            .args(arguments)
            .env("NSL_EVENT_LOG_DATABASE_URL", self.url()))
    }
}

/// Runs the tool without any database.
pub(crate) fn tool_alone(arguments: &[&str]) -> Ran {
    run(Command::new(env!("CARGO_BIN_EXE_nsl-event-log")).args(arguments))
}

/// How the tool ended and what it printed, a JSON object a line.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) lines: Vec<Value>,
}

fn run(command: &mut Command) -> Ran {
    let Output { status, stdout, stderr } = command.arg("--json").output().unwrap();
    let text = String::from_utf8(stdout).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(stderr.is_empty(), "{}", String::from_utf8_lossy(&stderr));
    Ran { code: status.code().unwrap(), lines }
}

/// Runs a test on a database with an empty log.
pub(crate) async fn with_log(test: impl AsyncFnOnce(&Database)) {
    let Ok(url) = std::env::var(URL_VARIABLE) else {
        eprintln!("SKIPPED: {URL_VARIABLE} is not set, so there is no Postgres to test against");
        return;
    };
    let options: PgConnectOptions = url.parse().unwrap();
    let mut server = options.connect().await.unwrap();
    let name = format!("nsl_event_log_{}", Uuid::now_v7().simple());
    sqlx::raw_sql(&format!("CREATE DATABASE {name}")).execute(&mut server).await.unwrap();
    let database = Database { options: options.database(&name) };
    EventStore::migrate(&database.url()).await.unwrap();
    test(&database).await;
    sqlx::raw_sql(&format!("DROP DATABASE {name} WITH (FORCE)")).execute(&mut server).await.unwrap();
    server.close().await.unwrap();
}

/// The lease that everything is appended under.
pub(crate) async fn fence(store: &EventStore) -> Fence {
    store.take_partitions("test", &[1], Duration::from_mins(5)).await.unwrap()[0]
}

/// Smaller partitions than a million positions, made as migration 0002 makes them.
pub(crate) async fn make_small_partitions(database: &Database, positions: u64) {
    database
        .execute(&format!(
            "DROP TABLE events_p0000000000000000001, envelopes_p0000000000000000001;
             DELETE FROM log_partitions;
             DO $$ BEGIN FOR i IN 0..2 LOOP
                 PERFORM make_log_partition('events', 1 + i * {positions}, 1 + (i + 1) * {positions});
                 PERFORM make_log_partition('envelopes', 1 + i * {positions}, 1 + (i + 1) * {positions});
                 INSERT INTO log_partitions VALUES (1 + i * {positions}, 1 + (i + 1) * {positions});
             END LOOP; END $$"
        ))
        .await;
}

/// A manifest of a log called `origin`.
pub(crate) fn manifest(origin: &str) -> Signed<GenesisManifest> {
    let key = SigningKey::from_seed(&[9; 32]);
    let manifest = GenesisManifest {
        log_origin: origin.into(),
        quorum: Quorum { threshold: 1, keys: vec![key.public()] },
        attestation_root_sha256: Sha256([1; 32]),
        builds: vec![Build {
            name: "first".into(),
            pcr0: Pcr([1; 48]),
            pcr1: Pcr([2; 48]),
            pcr2: Pcr([3; 48]),
        }],
        sealing_provider: SealingProvider::CustodianQuorum,
        created_at_ms: 1_000,
    };
    Signed::sign(manifest, &[&key])
}

/// As `commands/src/genesis.rs` begins a log: signatures in the envelope's place.
pub(crate) fn beginning(fence: Fence, signed: &Signed<GenesisManifest>) -> CommandAppend {
    let sha256 = signed.statement.sha256();
    let command_id = Uuid::new_v5(&Uuid::NAMESPACE_OID, &sha256.0);
    let issuer = signed.signatures[0].key;
    let event = AuthorityEvent::from(GenesisRecorded { manifest: signed.clone() });
    let event_id = ids::event_id(command_id, 0);
    let metadata = Metadata { event_id, command_id, issuer, decided_at_ms: UnixMs(1_000), traceparent: None };
    CommandAppend {
        command_id,
        issuer: issuer.to_string(),
        request_hash: sha256.0,
        subject: "nsl.v1.cmd.system.authority.root.genesis".into(),
        envelope: canonical::to_string(&signed.signatures),
        payload: canonical::to_string(&signed.statement),
        answer: canonical::to_string(&Answer::Accepted { version: 1 }),
        aggregate_type: "authority".into(),
        aggregate_id: "system.root".into(),
        expected_version: 0,
        events: vec![NewEvent {
            event_id,
            event_type: event.event_name().to_owned(),
            event_version: event.event_version().to_owned(),
            payload: canonical::to_string(&event),
            metadata: canonical::to_string(&metadata),
        }],
        fence,
    }
}

/// What a command decided to.
#[derive(Clone, Copy)]
pub(crate) enum Decision {
    /// Events on a stream at this version.
    Events { version: u64, count: u32 },
    /// A rejection.
    Rejection,
}

/// A signed command, appended as `commands/src/batch.rs` does.
pub(crate) fn command(fence: Fence, id: &str, decision: Decision) -> CommandAppend {
    let key = SigningKey::from_seed(&[3; 32]);
    let subject: CommandSubject =
        CommandSubject::parse(&format!("nsl.v1.cmd.acme.wallet.{id}.request-transfer")).unwrap();
    let payload = format!(r#"{{"amount":"5","to":"{id}"}}"#);
    let signed = SignedCommand::sign(&key, &subject, Uuid::now_v7(), 1_000, 2_000, payload);
    let envelope = &signed.envelope;
    let event = |index: u32, event_type: &str, payload: String| {
        let event_id = ids::event_id(envelope.command_id, index);
        let metadata = Metadata {
            event_id,
            command_id: envelope.command_id,
            issuer: envelope.issuer,
            decided_at_ms: UnixMs(1_500),
            traceparent: None,
        };
        let metadata = canonical::to_string(&metadata);
        NewEvent { event_id, event_type: event_type.into(), event_version: "1.0.0".into(), payload, metadata }
    };
    let (aggregate_type, aggregate_id, expected_version, events, answer) = match decision {
        Decision::Events { version, count } => {
            let events = (0..count)
                .map(|index| event(index, "deposited", format!(r#"{{"index":{index}}}"#)))
                .collect();
            let answer = Answer::Accepted { version: version + u64::from(count) };
            ("wallet", format!("acme.{id}"), version, events, answer)
        }
        Decision::Rejection => {
            let (code, message) = ("amount_not_allowed".to_owned(), "\"5\" is over the limit, ä".to_owned());
            let rejected = CommandRejected {
                subject: envelope.subject.clone(),
                code: code.clone(),
                message: message.clone(),
            };
            let events = vec![event(0, rejection::NAME, canonical::to_string(&rejected))];
            let stream = format!("acme.{}", envelope.command_id);
            (rejection::AGGREGATE, stream, 0, events, Answer::Rejected { code, message })
        }
    };
    CommandAppend {
        command_id: envelope.command_id,
        issuer: envelope.issuer.to_string(),
        request_hash: envelope.request_sha256().0,
        subject: envelope.subject.clone(),
        envelope: canonical::to_string(envelope),
        payload: signed.payload.clone(),
        answer: canonical::to_string(&answer),
        aggregate_type: aggregate_type.into(),
        aggregate_id,
        expected_version,
        events,
        fence,
    }
}
