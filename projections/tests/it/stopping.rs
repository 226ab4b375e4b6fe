//! What cannot be applied is never skipped, and stops nobody else.

use nsl_projections::checkpoint;
use nsl_projections::read_model::ReadModel;

use crate::events::*;
use crate::world::{until, with_world};

#[tokio::test]
async fn an_event_that_cannot_be_applied_stops_its_projection_alone_and_loudly() {
    with_world(async |world| {
        world.append("wallet", "acme.main", &creation_requested(1)).await;
        world.append("wallet", "acme.main", &transfer_requested(2)).await;
        // Signed, but never requested: nothing to the transactions, nonsense to the signing requests.
        let poison = world.append("wallet", "acme.main", &transfer_signed(3)).await;
        let last = world.append("wallet", "acme.main", &transfer_signed(2)).await;

        let stopped = world.run(ReadModel::SigningRequests);
        let (wallets, transactions) = (world.run(ReadModel::Wallets), world.run(ReadModel::Transactions));
        wallets.reaches(last).await;
        transactions.reaches(last).await;
        until("the stop", async || stopped.progress.status().error.is_some()).await;

        let status = stopped.progress.status();
        let reason = status.error.unwrap();
        assert!(reason.contains(&format!("event {poison} changes signing_requests")), "{reason}");
        until("the position of what was before", async || {
            checkpoint::load(&world.pool, "signing-requests").await.unwrap().position == poison - 1
        })
        .await;
        assert_eq!(world.number("SELECT count(*) FROM signing_requests WHERE status = 'requested'").await, 1);
        until("the recorded reason", async || {
            let recorded = checkpoint::stop_reason(&world.pool, "signing-requests").await.unwrap();
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

#[tokio::test]
async fn an_event_that_cannot_be_read_is_named() {
    for (name, payload, expected) in [
        (
            "wallet-teleported",
            r#"{"event":"wallet-teleported"}"#,
            "payload of \"wallet-teleported\" cannot be read",
        ),
        ("key-created", r#"{"event":"key-created"}"#, "payload of \"key-created\" cannot be read"),
    ] {
        with_world(async |world| {
            world.append_text("wallet", "acme.main", name, payload.to_owned()).await;
            let running = world.run(ReadModel::Wallets);
            until("the stop", async || running.progress.status().error.is_some()).await;
            let reason = running.progress.status().error.unwrap();
            assert!(reason.contains("event 1 cannot be read") && reason.contains(expected), "{reason}");
            running.stop().await;
        })
        .await;
    }
}

#[tokio::test]
async fn a_log_that_was_restored_to_before_the_checkpoint_stops_the_projection() {
    with_world(async |world| {
        let position = world.append("wallet", "acme.main", &creation_requested(1)).await;
        world.project(ReadModel::Wallets, position).await;
        world.execute("UPDATE checkpoints SET position = 9").await;
        let running = world.run(ReadModel::Wallets);
        until("the stop", async || running.progress.status().error.is_some()).await;
        let reason = running.progress.status().error.unwrap();
        assert!(reason.contains("at position 9, but the log ends at 1"), "{reason}");
        running.stop().await;
    })
    .await;
}
