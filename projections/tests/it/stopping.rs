//! What cannot be applied is never skipped, and stops nobody else.

use futures::FutureExt;
use futures::future::BoxFuture;
use nsl_event_store::RecordedEvent;
use nsl_projections::builds::{self, State};
use nsl_projections::read_model::Definition;
use nsl_projections::read_model::{PRICES, SIGNING_REQUESTS, TRANSACTIONS, WALLETS};
use nsl_projections::row::{Error, Existing};
use nsl_schemas::query::ProjectionState;
use sqlx::postgres::PgConnection;

use crate::events::*;
use crate::world::{until, with_world};

#[tokio::test]
async fn an_event_that_cannot_be_applied_stops_its_projection_alone_and_loudly() {
    with_world(async |world| {
        let first = world.append("wallet", "acme.main", &creation_requested(1)).await;
        world.project(&SIGNING_REQUESTS, first).await;
        world.append("wallet", "acme.main", &transfer_requested(2)).await;
        // Signed, but never requested: nothing to the transactions, nonsense to the signing requests.
        let poison = world.append("wallet", "acme.main", &transfer_signed(3)).await;
        let last = world.append("wallet", "acme.main", &transfer_signed(2)).await;

        let stopped = world.run(&SIGNING_REQUESTS);
        let (wallets, transactions) = (world.run(&WALLETS), world.run(&TRANSACTIONS));
        wallets.reaches(last).await;
        transactions.reaches(last).await;
        until("the stop", async || stopped.progress.status().error.is_some()).await;

        let status = stopped.progress.status();
        let reason = status.error.unwrap();
        assert!(reason.contains(&format!("event {poison} changes signing_requests")), "{reason}");
        until("the position of what was before", async || {
            builds::find(&world.pool, &SIGNING_REQUESTS, State::Served).await.unwrap().unwrap().position
                == poison - 1
        })
        .await;
        assert_eq!(world.number("SELECT count(*) FROM signing_requests WHERE status = 'requested'").await, 1);
        until("the recorded reason", async || {
            let recorded = builds::stop_reason(&world.pool, &SIGNING_REQUESTS).await.unwrap();
            recorded.as_deref() == Some(reason.as_str())
        })
        .await;

        let outcomes = world.readiness.check().await;
        let unready: Vec<_> = outcomes.into_iter().filter(|outcome| outcome.result.is_err()).collect();
        assert_eq!(unready.len(), 1, "{unready:?}");
        assert_eq!(unready[0].name, "projection signing-requests");
        assert_eq!(unready[0].result, Err(reason));
        until("the lag", async || {
            world.metrics().contains("nsl_projection_lag_events{projection=\"signing-requests\"} 2\n")
        })
        .await;
        for running in [stopped, wallets, transactions] {
            running.stop().await;
        }
    })
    .await;
}

/// The read model `wallets` with an error in its code.
const PANICKING: Definition = Definition { apply: panicking, ..WALLETS };

fn panicking<'a>(
    transaction: &'a mut PgConnection,
    events: &'a [RecordedEvent],
    existing: Existing,
) -> BoxFuture<'a, Result<(), Error>> {
    async move {
        assert!(events.iter().all(|event| event.event_type != "policy-changed"), "no policy ever changes");
        (WALLETS.apply)(transaction, events, existing).await
    }
    .boxed()
}

#[tokio::test]
async fn a_panic_stops_its_projection_alone_at_the_event_and_a_mended_build_goes_on() {
    with_world(async |world| {
        let first = world.append("wallet", "acme.main", &creation_requested(1)).await;
        world.project(&WALLETS, first).await;
        for number in 2..=9 {
            world.append("wallet", &format!("acme.w{number}"), &creation_requested(number)).await;
        }
        let poison = world.append("wallet", "acme.main", &policy_changed(10, 77)).await;
        let last = world.append("wallet", "acme.w11", &creation_requested(11)).await;

        let (stopped, other) = (world.run(&PANICKING), world.run(&TRANSACTIONS));
        other.reaches(last).await;
        let failed = "nsl_projection_failed{projection=\"wallets\"} 1\n";
        until("the stop", async || world.metrics().contains(failed)).await;
        let reason = stopped.progress.status().error.unwrap();
        assert!(reason.contains(&format!("event {poison} (")), "{reason}");
        assert!(reason.contains("applying events panicked: no policy ever changes"), "{reason}");
        let status = stopped.progress.status();
        assert_eq!(
            (status.state, status.code.as_deref()),
            (ProjectionState::Failed, Some("projection_failed"))
        );
        // Everything before the event is there, nothing after it.
        until("the position", async || stopped.progress.status().position == poison - 1).await;
        assert_eq!(world.number("SELECT count(*) FROM wallets").await, 9);
        other.stop().await;
        stopped.stop().await;

        let mended = world.run(&WALLETS);
        mended.reaches(last).await;
        assert!(world.metrics().contains("nsl_projection_failed{projection=\"wallets\"} 0\n"));
        assert_eq!(world.number("SELECT count(*) FROM wallets").await, 10);
        assert_eq!(world.number("SELECT count(*) FROM builds WHERE error IS NOT NULL").await, 0);
        mended.stop().await;
    })
    .await;
}

#[tokio::test]
async fn an_event_from_the_future_parks_its_projection_until_a_build_knows_it() {
    with_world(async |world| {
        let first = world.append("wallet", "acme.main", &creation_requested(1)).await;
        world.project(&WALLETS, first).await;
        let payload = r#"{"event":"wallet-teleported"}"#.to_owned();
        let future = world.append_text("wallet", "acme.main", "wallet-teleported", payload).await;
        world.append("wallet", "acme.w2", &creation_requested(2)).await;
        let parked = world.run(&WALLETS);
        until("the stop", async || parked.progress.status().state == ProjectionState::Parked).await;
        let status = parked.progress.status();
        assert_eq!((status.position, status.code.as_deref()), (future - 1, Some("projection_parked")));
        assert!(status.error.unwrap().contains("from the future"));
        assert!(world.metrics().contains("nsl_projection_parked{projection=\"wallets\"} 1\n"));
        assert_eq!(world.number("SELECT count(*) FROM wallets").await, 1, "nothing is skipped");
        parked.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_stopped_projection_tries_again_by_itself() {
    with_world(async |world| {
        let last = world.append("wallet", "acme.main", &creation_requested(1)).await;
        world.project(&WALLETS, last).await;
        world.execute("CREATE TABLE kept AS SELECT * FROM wallets; DELETE FROM wallets").await;
        let last = world.append("wallet", "acme.main", &key_created(1)).await;
        let running = world.run(&WALLETS);
        until("the stop", async || running.progress.status().state == ProjectionState::Failed).await;
        world.execute("INSERT INTO wallets SELECT * FROM kept").await;
        running.reaches(last).await;
        assert_eq!(running.progress.status().state, ProjectionState::Running);
        running.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_wallet_that_is_asked_for_again_replaces_its_row_also_within_a_chunk() {
    with_world(async |world| {
        world.append("wallet", "acme.main", &creation_requested(1)).await;
        let refused = world.append("wallet", "acme.main", &creation_refused(1)).await;
        world.project(&WALLETS, refused).await;
        // The row is there, and this event needs none to make one.
        world.append("wallet", "acme.new", &creation_requested(2)).await;
        let last = world.append("wallet", "acme.main", &creation_requested(3)).await;
        world.project(&WALLETS, last).await;
        assert_eq!(world.number("SELECT count(*) FROM wallets WHERE status = 'creating'").await, 2);
    })
    .await;
}

#[tokio::test]
async fn an_event_that_cannot_be_read_is_named() {
    for (name, version, payload, expected) in [
        (
            "wallet-teleported",
            "1.0.0",
            r#"{"event":"wallet-teleported"}"#,
            "\"wallet-teleported\" of \"wallet\" in version \"1.0.0\" is from the future",
        ),
        (
            "transfer-expired",
            "1.1.0",
            r#"{"block_index":7,"event":"transfer-expired","request_id":"00000000-0000-0000-0000-000000000001","tx_hash":"0x1"}"#,
            "\"transfer-expired\" of \"wallet\" in version \"1.1.0\" is from the future",
        ),
        ("key-created", "1.0.0", r#"{"event":"key-created"}"#, "payload of \"key-created\" cannot be read"),
    ] {
        with_world(async |world| {
            world.append_version("wallet", "acme.main", name, version, payload.to_owned()).await;
            let last = world.append("price-feed", "acme.NEO-USD", &feed_registered(60_000)).await;
            let (running, others) = (world.run(&WALLETS), world.run(&PRICES));
            others.reaches(last).await;
            until("the stop", async || running.progress.status().error.is_some()).await;
            let reason = running.progress.status().error.unwrap();
            assert!(reason.contains("event 1 cannot be read") && reason.contains(expected), "{reason}");
            assert_eq!(world.number("SELECT position FROM builds WHERE model = 'wallets'").await, 0);
            running.stop().await;
            others.stop().await;
        })
        .await;
    }
}

#[tokio::test]
async fn a_log_that_was_restored_to_before_the_checkpoint_stops_the_projection() {
    with_world(async |world| {
        let position = world.append("wallet", "acme.main", &creation_requested(1)).await;
        world.project(&WALLETS, position).await;
        world.execute("UPDATE builds SET position = 9").await;
        let running = world.run(&WALLETS);
        until("the stop", async || running.progress.status().error.is_some()).await;
        let reason = running.progress.status().error.unwrap();
        assert!(reason.contains("at position 9, but the log ends at 1"), "{reason}");
        running.stop().await;
    })
    .await;
}
