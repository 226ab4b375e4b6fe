//! Stock cqrs-es over stock postgres-es: the framework loads the stream, decides and commits. No receipt, no envelope,
//! no position.

use std::collections::HashMap;
use std::sync::Arc;

use cqrs_es::event_sink::EventSink;
use cqrs_es::persist::PersistedEventStore;
use cqrs_es::{Aggregate, AggregateError, CqrsFramework, DomainEvent};
use postgres_es::{PostgresCqrs, PostgresEventRepository};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use super::text;

/// Sessions of the peer: it was quickest with 16 on two cores.
const CONNECTIONS: u32 = 16;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the peer refused a command")]
    Execute(#[from] AggregateError<std::convert::Infallible>),
}

/// The least an aggregate can be: what is measured is the store.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Account {
    deposits: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Deposited {
    amount: String,
    text: String,
}

impl DomainEvent for Deposited {
    fn event_type(&self) -> String {
        "deposited".to_owned()
    }

    fn event_version(&self) -> String {
        "1.0.0".to_owned()
    }
}

impl Aggregate for Account {
    const TYPE: &'static str = "account";
    type Command = ();
    type Event = Deposited;
    type Error = std::convert::Infallible;
    type Services = ();

    async fn handle(&mut self, (): (), (): &(), sink: &EventSink<Self>) -> Result<(), Self::Error> {
        sink.write(Deposited { amount: "5".to_owned(), text: text() }, self).await;
        Ok(())
    }

    fn apply(&mut self, _: Deposited) {
        self.deposits += 1;
    }
}

/// The framework with its own table.
pub(crate) struct Stock {
    pool: PgPool,
    framework: Arc<PostgresCqrs<Account>>,
}

impl Stock {
    /// Makes the table as postgres-es' own db/init.sql does.
    pub(crate) async fn open(url: &str) -> Result<Self, sqlx::Error> {
        const TABLE: &str = "CREATE TABLE events (
            aggregate_type text NOT NULL, aggregate_id text NOT NULL,
            sequence bigint CHECK (sequence >= 0) NOT NULL, event_type text NOT NULL,
            event_version text NOT NULL, payload json NOT NULL, metadata json NOT NULL,
            PRIMARY KEY (aggregate_type, aggregate_id, sequence))";
        let pool = PgPoolOptions::new().max_connections(CONNECTIONS).connect(url).await?;
        sqlx::query(TABLE).execute(&pool).await?;
        let store = PersistedEventStore::new_event_store(PostgresEventRepository::new(pool.clone()));
        Ok(Self { pool, framework: Arc::new(CqrsFramework::new(store, Vec::new(), ())) })
    }

    /// Before each run: every stream is new, so that it need not load what it wrote long ago.
    pub(crate) async fn empty(&self) -> Result<(), sqlx::Error> {
        sqlx::query("TRUNCATE events").execute(&self.pool).await.map(drop)
    }

    /// What a client of the closed loop does.
    pub(crate) fn executor(&self) -> impl Fn(usize) -> Execution + Clone + Send + 'static {
        let framework = Arc::clone(&self.framework);
        move |aggregate| Box::pin(execute(Arc::clone(&framework), aggregate))
    }
}

type Execution = std::pin::Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// A conflict is tried again until it commits, and the latency covers it.
async fn execute(framework: Arc<PostgresCqrs<Account>>, aggregate: usize) -> Result<(), Error> {
    let aggregate_id = format!("load.{aggregate}");
    let metadata = HashMap::from([("issuer".to_owned(), "benchmark".to_owned())]);
    loop {
        match framework.execute_with_metadata(&aggregate_id, (), metadata.clone()).await {
            Err(AggregateError::AggregateConflict) => {}
            result => return Ok(result?),
        }
    }
}
