//! The peer: stock cqrs-es over stock postgres-es, called directly. It has the same aggregate, the same commands and the
//! same events before them, in its own table of the same database; it checks no signature and keeps no receipt.

use std::collections::HashMap;
use std::str::FromStr as _;
use std::sync::Arc;

use cqrs_es::persist::PersistedEventStore;
use cqrs_es::{AggregateError, CqrsFramework};
use nsl_client::authority;
use nsl_domain::decision::{Facts, Genesis, Order, Rejection};
use nsl_domain::wallet::Wallet;
use nsl_schemas::authority::Operators;
use nsl_schemas::command::{self, Command};
use nsl_verify::attestation::TrustRoot;
use postgres_es::{PostgresCqrs, PostgresEventRepository};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::workload::Ready;

/// Sessions of the peer: it was quickest with 16 on two cores.
const CONNECTIONS: u32 = 16;
/// How long workers have to sign: the service's default, though nobody signs here.
const SIGNING_MS: u64 = 3_600_000;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("peer's database")]
    Database(#[from] sqlx::Error),
    #[error("genesis manifest")]
    Genesis(#[from] authority::Error),
    #[error("this build does not trust the manifest's attestation root")]
    TrustRoot(#[from] nsl_verify::attestation::Error),
    #[error("command cannot be read")]
    Command(#[from] command::Error),
    #[error("the peer refused a command")]
    Execute(#[from] AggregateError<Rejection>),
    #[error("only wallets are commanded here")]
    NotAWallet,
}

/// A ready command as stock cqrs-es takes it.
pub(crate) struct Call {
    aggregate_id: String,
    order: Order<nsl_schemas::command::wallet::WalletCommand>,
    metadata: HashMap<String, String>,
}

/// The framework with its own tables.
pub(crate) struct Stock {
    framework: Arc<PostgresCqrs<Wallet>>,
    genesis: Arc<Genesis>,
    operators: Arc<Operators>,
}

impl Stock {
    /// Makes the peer's schema and copies the wallets' events into it: byte for byte.
    pub(crate) async fn prepare(database: &PgPool, url: &str, genesis: &[u8]) -> Result<Self, Error> {
        // postgres-es' own db/init.sql.
        const SCHEMA: [&str; 4] = [
            "DROP SCHEMA IF EXISTS peer CASCADE",
            "CREATE SCHEMA peer",
            "CREATE TABLE peer.events (
                aggregate_type text NOT NULL, aggregate_id text NOT NULL,
                sequence bigint CHECK (sequence >= 0) NOT NULL, event_type text NOT NULL,
                event_version text NOT NULL, payload json NOT NULL, metadata json NOT NULL,
                PRIMARY KEY (aggregate_type, aggregate_id, sequence))",
            "INSERT INTO peer.events SELECT aggregate_type, aggregate_id, sequence, event_type, event_version, payload,
                metadata FROM public.events WHERE aggregate_type = 'wallet'",
        ];
        for statement in SCHEMA {
            sqlx::query(statement).execute(database).await?;
        }
        sqlx::query("ANALYZE peer.events").execute(database).await?;
        let options = PgConnectOptions::from_str(url)?.options([("search_path", "peer")]);
        let pool = PgPoolOptions::new().max_connections(CONNECTIONS).connect_with(options).await?;
        let store = PersistedEventStore::new_event_store(PostgresEventRepository::new(pool));
        let manifest = authority::read_genesis(genesis)?.statement;
        let trust_root = TrustRoot::from_sha256(manifest.attestation_root_sha256.0)?;
        let operators = Arc::new(Operators::of_genesis(&manifest));
        let genesis = Arc::new(Genesis { sha256: manifest.sha256(), manifest, trust_root });
        Ok(Self { framework: Arc::new(CqrsFramework::new(store, Vec::new(), ())), genesis, operators })
    }

    /// Reads commands beforehand, as ours are signed beforehand.
    pub(crate) fn calls(&self, commands: Vec<Ready>) -> Result<Vec<Call>, Error> {
        commands.into_iter().map(|ready| self.call(ready)).collect()
    }

    fn call(&self, ready: Ready) -> Result<Call, Error> {
        let Ready { subject, command, headers: _ } = ready;
        let envelope = &command.envelope;
        let Command::Wallet(body) = Command::parse(&subject, command.payload.as_bytes())? else {
            return Err(Error::NotAWallet);
        };
        let metadata = [
            ("command_id", envelope.command_id.to_string()),
            ("issuer", envelope.issuer.to_string()),
            ("decided_at_ms", envelope.issued_at_ms.to_string()),
        ];
        Ok(Call {
            aggregate_id: subject.stream_id(),
            metadata: metadata.map(|(key, value)| (key.to_owned(), value)).into(),
            order: Order {
                command_id: envelope.command_id,
                request_sha256: envelope.request_sha256(),
                issued_at_ms: envelope.issued_at_ms,
                now_ms: envelope.issued_at_ms,
                tenant: subject.tenant,
                id: subject.id,
                body: *body,
                facts: Facts {
                    genesis: Arc::clone(&self.genesis),
                    operators: Arc::clone(&self.operators),
                    worker_is_registered: false,
                    signing_ms: SIGNING_MS,
                },
            },
        })
    }

    /// What a client of the closed loop does.
    pub(crate) fn executor(&self) -> impl Fn(Call) -> Execution + Clone + Send + 'static {
        let framework = Arc::clone(&self.framework);
        move |call| Box::pin(execute(Arc::clone(&framework), call))
    }
}

type Execution = std::pin::Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// A conflict is tried again until it commits, and the latency covers it.
async fn execute(framework: Arc<PostgresCqrs<Wallet>>, call: Call) -> Result<(), Error> {
    let Call { aggregate_id, order, metadata } = call;
    loop {
        match framework.execute_with_metadata(&aggregate_id, order.clone(), metadata.clone()).await {
            Err(AggregateError::AggregateConflict) => {}
            result => return Ok(result?),
        }
    }
}
