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
            let (running, others) = (world.run(ReadModel::Wallets), world.run(ReadModel::Prices));
            others.reaches(last).await;
            until("the stop", async || running.progress.status().error.is_some()).await;
            let reason = running.progress.status().error.unwrap();
            assert!(reason.contains("event 1 cannot be read") && reason.contains(expected), "{reason}");
            assert_eq!(checkpoint::load(&world.pool, "wallets").await.unwrap().position, 0);
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
