//! Snapshots change how long a load takes, and never what it answers.

use cqrs_es::event_sink::EventSink;
use cqrs_es::{Aggregate, DomainEvent};
use nsl_event_store::{EventStore, Fence, NewEvent, SNAPSHOT_EVERY};
use nsl_schemas::event::{DecodeError, Stored};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::support::{Database, command, take, with_log};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Added {
    number: u32,
}

impl DomainEvent for Added {
    fn event_type(&self) -> String {
        "added".into()
    }

    fn event_version(&self) -> String {
        "1".into()
    }
}

fn decode(stored: Stored<'_>) -> Result<Added, DecodeError> {
    let unreadable = |source: serde_json::Error| DecodeError::Payload {
        event_type: stored.event_type.to_owned(),
        source: source.into(),
    };
    serde_json::from_str(stored.payload).map_err(unreadable)
}

/// A state that shows every event that was missed, repeated or swapped.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Digest {
    events: u64,
    value: u64,
}

impl Aggregate for Digest {
    const TYPE: &'static str = "account";
    type Command = ();
    type Event = Added;
    type Error = std::convert::Infallible;
    type Services = ();

    async fn handle(&mut self, (): (), (): &(), _: &EventSink<Self>) -> Result<(), Self::Error> {
        Ok(())
    }

    fn apply(&mut self, event: Added) {
        self.events += 1;
        self.value = self.value.wrapping_mul(1_000_003).wrapping_add(u64::from(event.number));
    }
}

const STREAM: &str = "acme.long";
const FORMAT: u32 = 3;

/// Appends events in commands of at most 50.
async fn extend(store: &EventStore, fence: Fence, aggregate_id: &str, numbers: &[u32]) {
    let mut version = store.load_stream("account", aggregate_id, 0).await.unwrap().len() as u64;
    for some in numbers.chunks(50) {
        let mut next = command(fence, aggregate_id, version, 0);
        next.events = some
            .iter()
            .map(|number| NewEvent {
                event_id: Uuid::now_v7(),
                event_type: "added".into(),
                event_version: "1".into(),
                payload: format!(r#"{{"number":{number}}}"#),
                metadata: "{}".into(),
            })
            .collect();
        version += some.len() as u64;
        store.append(&[next]).await.unwrap();
    }
}

/// Waits until the snapshot that was offered is kept.
async fn kept(database: &Database, version: u64) {
    let query = format!("SELECT count(*) FROM snapshots WHERE version = {version}");
    while database.number(&query).await == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

async fn both(store: &EventStore, aggregate_id: &str) -> ((Digest, u64), (Digest, u64)) {
    let snapshotted = store.load_snapshotted::<Digest>(aggregate_id, decode, FORMAT).await.unwrap();
    (snapshotted, store.load_aggregate::<Digest>(aggregate_id, decode).await.unwrap())
}

#[tokio::test]
async fn snapshot_and_tail_are_the_whole_fold() {
    with_log(async |database| {
        let store = database.store().await;
        let fence = take(&store, 1).await;
        let mut runner = TestRunner::deterministic();
        let lengths = prop::collection::vec(prop::collection::vec(any::<u32>(), 0..700), 1..4);
        for case in 0..12 {
            let aggregate_id = format!("acme.{case}");
            let mut taken_at = 0;
            for numbers in lengths.new_tree(&mut runner).unwrap().current() {
                extend(&store, fence, &aggregate_id, &numbers).await;
                let (snapshotted, folded) = both(&store, &aggregate_id).await;
                assert_eq!(snapshotted, folded);
                if folded.1 - taken_at >= SNAPSHOT_EVERY {
                    taken_at = folded.1;
                    kept(database, taken_at).await;
                }
            }
        }
        assert!(database.number("SELECT count(*) FROM snapshots").await > 5);
    })
    .await;
}

#[tokio::test]
async fn a_usable_snapshot_is_used() {
    with_log(async |database| {
        let store = database.store().await;
        let fence = take(&store, 1).await;
        extend(&store, fence, STREAM, &[7; 300]).await;
        both(&store, STREAM).await;
        kept(database, 300).await;
        // A state that no fold leads to, with the hash that makes it whole.
        database
            .execute(r#"UPDATE snapshots SET state = '{"events":1,"value":2}', state_hash = sha256('{"events":1,"value":2}')"#)
            .await;
        let (snapshotted, _) = both(&store, STREAM).await;
        assert_eq!(snapshotted, (Digest { events: 1, value: 2 }, 300));
    })
    .await;
}

#[tokio::test]
async fn a_snapshot_that_is_harmed_foreign_or_of_another_format_is_passed_over() {
    let damages = [
        "state = replace(state, '300', '301')",
        "state = '{}', state_hash = sha256('{}')",
        "state = '[', state_hash = sha256('[')",
        "format = '2'",
        "version = 299",
        "version = 301",
        "content_hash = sha256('')",
    ];
    with_log(async |database| {
        let store = database.store().await;
        let fence = take(&store, 1).await;
        for (case, damage) in damages.iter().enumerate() {
            let aggregate_id = format!("acme.{case}");
            extend(&store, fence, &aggregate_id, &[7; 300]).await;
            both(&store, &aggregate_id).await;
            kept(database, 300).await;
            database.execute(&format!("UPDATE snapshots SET {damage}")).await;
            let (snapshotted, folded) = both(&store, &aggregate_id).await;
            assert_eq!(snapshotted, folded, "{damage}");
            assert_eq!(folded.0.events, 300);
            database.execute("TRUNCATE snapshots").await;
        }
    })
    .await;
}

#[tokio::test]
async fn an_offer_that_the_log_does_not_hold_is_not_kept() {
    with_log(async |database| {
        let store = database.store().await;
        let fence = take(&store, 1).await;
        extend(&store, fence, STREAM, &[1, 2, 3]).await;
        let state = Digest { events: 9, value: 9 };
        store.offer_snapshot(STREAM, 9, FORMAT, &state);
        store.offer_snapshot(STREAM, 3, FORMAT, &state);
        kept(database, 3).await;
        // Offers are stored in turn, so the other stream's tells that the older one was passed over.
        store.offer_snapshot(STREAM, 2, FORMAT, &state);
        extend(&store, fence, "acme.other", &[1]).await;
        store.offer_snapshot("acme.other", 1, FORMAT, &state);
        kept(database, 1).await;
        assert_eq!(database.number("SELECT count(*) FROM snapshots WHERE version = 3").await, 1);
        store.offer_snapshot(STREAM, 2, FORMAT + 1, &state);
        kept(database, 2).await;
        assert_eq!(database.number("SELECT count(*) FROM snapshots").await, 2);
    })
    .await;
}
