//! cqrs-es on this store, and the stock postgres-es repository on this log.

use std::collections::HashMap;

use cqrs_es::event_sink::EventSink;
use cqrs_es::persist::{PersistedEventRepository, PersistedEventStore};
use cqrs_es::{Aggregate, AggregateError, CqrsFramework, DomainEvent, EventStore as _};
use nsl_event_store::{CommandContext, EventStore, Fence, Filter, GroupCommit};
use nsl_schemas::event::{DecodeError, EventType, Stored, WireEvent};
use postgres_es::PostgresEventRepository;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::support::{take, with_log};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Deposited {
    zeta: String,
    amount: i64,
}

impl DomainEvent for Deposited {
    fn event_type(&self) -> String {
        "deposited".into()
    }

    fn event_version(&self) -> String {
        TYPE.version.into()
    }
}

const TYPE: EventType = EventType::first("account", "deposited");

impl WireEvent for Deposited {
    const TYPES: &'static [EventType] = &[TYPE];

    fn event_type(&self) -> &'static EventType {
        &TYPE
    }
}

fn decode(stored: Stored<'_>) -> Result<Deposited, DecodeError> {
    stored.decode()
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Account {
    balance: i64,
}

impl Aggregate for Account {
    const TYPE: &'static str = "account";
    type Command = Vec<i64>;
    type Event = Deposited;
    type Error = std::convert::Infallible;
    type Services = ();

    async fn handle(
        &mut self,
        amounts: Vec<i64>,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), Self::Error> {
        for amount in amounts {
            sink.write(Deposited { zeta: "z".into(), amount }, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: Deposited) {
        self.balance += event.amount;
    }
}

fn context(fence: Fence) -> CommandContext {
    CommandContext {
        command_id: Uuid::now_v7(),
        issuer: "UISSUER".into(),
        request_hash: [3; 32],
        subject: "nsl.v1.cmd.acme.account.one.deposit".into(),
        envelope: "{}".into(),
        payload: "{}".into(),
        answer: r#"{"status":"accepted"}"#.into(),
        fence,
    }
}

/// Runs one command through cqrs-es' own framework.
async fn deposit(
    store: &EventStore,
    context: CommandContext,
    aggregate_id: &str,
    amounts: &[i64],
) -> Result<(), AggregateError<std::convert::Infallible>> {
    let repository = GroupCommit::start(store.clone()).repository(context);
    let events = PersistedEventStore::<_, Account>::new_event_store(repository);
    let metadata = HashMap::from([("trace".to_owned(), "1".to_owned())]);
    CqrsFramework::new(events, vec![], ())
        .execute_with_metadata(aggregate_id, amounts.to_vec(), metadata)
        .await
}

#[tokio::test]
async fn a_stock_postgres_es_repository_loads_our_streams() {
    with_log(async |database| {
        let store = database.store().await;
        let fence = take(&store, 1).await;
        deposit(&store, context(fence), "acme.one", &[10, 20, 30]).await.unwrap();
        deposit(&store, context(fence), "acme.two", &[1]).await.unwrap();
        deposit(&store, context(fence), "acme.one", &[40]).await.unwrap();

        let pool = sqlx::PgPool::connect(&database.url()).await.unwrap();
        let stock = PostgresEventRepository::new(pool);
        let ours = GroupCommit::start(store.clone()).repository(context(fence));
        for aggregate_id in ["acme.one", "acme.two"] {
            assert_eq!(
                stock.get_events::<Account>(aggregate_id).await.unwrap(),
                ours.get_events::<Account>(aggregate_id).await.unwrap()
            );
        }
        assert_eq!(
            stock.get_last_events::<Account>("acme.one", 2).await.unwrap(),
            ours.get_last_events::<Account>("acme.one", 2).await.unwrap()
        );
        let stock = PersistedEventStore::<_, Account>::new_event_store(stock);
        let loaded = stock.load_aggregate("acme.one").await.unwrap();
        let (account, version) = store.load_aggregate::<Account>("acme.one", decode).await.unwrap();
        assert_eq!(account.balance, 100);
        assert_eq!((&loaded.aggregate, loaded.current_sequence as u64), (&account, version));

        let page = store.read(0, 1, &Filter::default()).await.unwrap();
        assert_eq!(page.events[0].payload, r#"{"amount":10,"zeta":"z"}"#);
    })
    .await;
}

#[tokio::test]
async fn a_conflict_is_an_optimistic_lock_and_a_repeat_is_not() {
    with_log(async |database| {
        let store = database.store().await;
        let fence = take(&store, 1).await;
        let first = context(fence);
        let repository = GroupCommit::start(store.clone()).repository(first.clone());
        let events = PersistedEventStore::<_, Account>::new_event_store(repository);
        let stale = events.load_aggregate("acme.one").await.unwrap();
        deposit(&store, context(fence), "acme.one", &[1]).await.unwrap();
        let amounts = vec![Deposited { zeta: "z".into(), amount: 2 }];
        let conflict = events.commit(amounts, stale, HashMap::new()).await;
        assert!(matches!(conflict, Err(AggregateError::AggregateConflict)));

        deposit(&store, first.clone(), "acme.one", &[2]).await.unwrap();
        let repeat = deposit(&store, first, "acme.one", &[2]).await;
        assert!(matches!(repeat, Err(AggregateError::UnexpectedError(_))));
        assert_eq!(store.head().await.unwrap(), 2);
    })
    .await;
}

#[tokio::test]
async fn snapshots_and_commands_without_events_are_refused() {
    with_log(async |database| {
        let store = database.store().await;
        let fence = take(&store, 1).await;
        let snapshots = PersistedEventStore::<_, Account>::new_snapshot_store(
            GroupCommit::start(store.clone()).repository(context(fence)),
            1,
        );
        let refused =
            CqrsFramework::new(snapshots, vec![], ()).execute("acme.one", vec![5]).await.unwrap_err();
        assert!(refused.to_string().contains("snapshots are refused"), "{refused}");
        let refused = deposit(&store, context(fence), "acme.one", &[]).await.unwrap_err();
        assert!(refused.to_string().contains("decided no event"), "{refused}");
        assert_eq!(store.head().await.unwrap(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_replay_is_in_position_order_and_reports_a_failing_database() {
    with_log(async |database| {
        let store = database.store().await;
        let fence = take(&store, 1).await;
        for (aggregate_id, amount) in [("acme.one", 1), ("acme.two", 2), ("acme.one", 3)] {
            deposit(&store, context(fence), aggregate_id, &[amount]).await.unwrap();
        }
        let repository = GroupCommit::start(store.clone()).repository(context(fence));
        let mut amounts = Vec::new();
        let mut replay = repository.stream_all_events::<Account>().await.unwrap();
        while let Some(event) = replay.next::<Account>(&[]).await {
            amounts.push(event.unwrap().payload.amount);
        }
        assert_eq!(amounts, [1, 2, 3]);
        let mut one = repository.stream_events::<Account>("acme.one").await.unwrap();
        for amount in [1, 3] {
            assert_eq!(one.next::<Account>(&[]).await.unwrap().unwrap().payload.amount, amount);
        }
        assert!(one.next::<Account>(&[]).await.is_none());

        database.execute("ALTER TABLE events RENAME TO hidden").await;
        let mut all = repository.stream_all_events::<Account>().await.unwrap();
        assert!(all.next::<Account>(&[]).await.unwrap().is_err());
        let mut one = repository.stream_events::<Account>("acme.one").await.unwrap();
        assert!(one.next::<Account>(&[]).await.unwrap().is_err());
    })
    .await;
}
