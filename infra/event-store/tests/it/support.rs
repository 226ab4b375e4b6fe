//! A database for one test, and commands to append.

use std::time::Duration;

use nsl_event_store::{CommandAppend, EventStore, Fence, NewEvent, Options};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection};
use uuid::Uuid;

const URL_VARIABLE: &str = "NSL_TEST_DATABASE_URL";

/// A lease that outlives every test.
pub(crate) const LONG: Duration = Duration::from_mins(5);

/// An empty database of one test.
pub(crate) struct Database {
    options: PgConnectOptions,
}

impl Database {
    /// The superuser's url.
    pub(crate) fn url(&self) -> String {
        self.options.to_url_lossy().to_string()
    }

    /// The url of another role.
    pub(crate) fn url_of(&self, role: &str, password: &str) -> String {
        self.options.clone().username(role).password(password).to_url_lossy().to_string()
    }

    /// Where the server listens.
    pub(crate) fn address(&self) -> (String, u16) {
        (self.options.get_host().to_owned(), self.options.get_port())
    }

    /// The superuser's url through another port of this host.
    pub(crate) fn url_through(&self, port: u16) -> String {
        self.options.clone().host("127.0.0.1").port(port).to_url_lossy().to_string()
    }

    /// A superuser's session.
    pub(crate) async fn session(&self) -> PgConnection {
        self.options.connect().await.unwrap()
    }

    pub(crate) async fn execute(&self, statement: &str) {
        sqlx::raw_sql(statement).execute(&mut self.session().await).await.unwrap();
    }

    pub(crate) async fn number(&self, query: &str) -> i64 {
        sqlx::query_scalar(query).fetch_one(&mut self.session().await).await.unwrap()
    }

    pub(crate) async fn store(&self) -> EventStore {
        EventStore::connect(&self.url(), Options::default()).await.unwrap()
    }
}

/// Runs a test on an empty database.
pub(crate) async fn with_empty_database(test: impl AsyncFnOnce(&Database)) {
    let Ok(url) = std::env::var(URL_VARIABLE) else {
        eprintln!("SKIPPED: {URL_VARIABLE} is not set, so there is no Postgres to test against");
        return;
    };
    let options: PgConnectOptions = url.parse().unwrap();
    let mut server = options.connect().await.unwrap();
    let name = format!("nsl_event_store_{}", Uuid::now_v7().simple());
    sqlx::raw_sql(&format!("CREATE DATABASE {name}")).execute(&mut server).await.unwrap();
    test(&Database { options: options.database(&name) }).await;
    sqlx::raw_sql(&format!("DROP DATABASE {name} WITH (FORCE)")).execute(&mut server).await.unwrap();
    server.close().await.unwrap();
}

/// Runs a test on a database with an empty log.
pub(crate) async fn with_log(test: impl AsyncFnOnce(&Database)) {
    with_empty_database(async |database| {
        EventStore::migrate(&database.url()).await.unwrap();
        test(database).await;
    })
    .await;
}

/// Changes recorded rows, as somebody with the owner's rights can who first takes the triggers away.
pub(crate) async fn alter(database: &Database, statement: &str) {
    const UNPROTECTED: &str = "DO $$ DECLARE t regclass; BEGIN FOR t IN
        SELECT tgrelid::regclass FROM pg_trigger WHERE tgname = 'append_only' AND tgparentid = 0
        LOOP EXECUTE format('ALTER TABLE %s DISABLE TRIGGER append_only', t); END LOOP; END $$";
    database.execute(&format!("{UNPROTECTED}; {statement}")).await;
}

/// Takes a partition for a new owner.
pub(crate) async fn take(store: &EventStore, partition: u16) -> Fence {
    let owner = format!("owner of {partition}");
    store.take_partitions(&owner, &[partition], LONG).await.unwrap()[0]
}

/// A new command with so many events on a stream.
pub(crate) fn command(
    fence: Fence,
    aggregate_id: &str,
    expected_version: u64,
    events: usize,
) -> CommandAppend {
    let command_id = Uuid::now_v7();
    CommandAppend {
        command_id,
        issuer: "UISSUER".into(),
        request_hash: [7; 32],
        subject: format!("nsl.v1.cmd.{aggregate_id}.deposit"),
        envelope: format!(r#"{{"id":"{command_id}"}}"#),
        payload: r#"{"amount":"5"}"#.into(),
        answer: r#"{"status":"accepted"}"#.into(),
        aggregate_type: "account".into(),
        aggregate_id: aggregate_id.into(),
        expected_version,
        events: (0..events).map(|_| event("deposited", r#"{"amount":"5"}"#)).collect(),
        fence,
    }
}

/// A new event.
pub(crate) fn event(event_type: &str, payload: &str) -> NewEvent {
    NewEvent {
        event_id: Uuid::now_v7(),
        event_type: event_type.into(),
        event_version: "1".into(),
        payload: payload.into(),
        metadata: r#"{"trace":"1"}"#.into(),
    }
}
