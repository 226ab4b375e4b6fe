//! An event that a newer build wrote, and one that somebody changed: commands of that aggregate are refused by name,
//! nothing of them is recorded, and the commands of every other aggregate go on.

use nix::sys::signal::Signal;
use nsl_event_store::{HashedEvent, content_hash};
use sqlx::postgres::PgPool;
use uuid::Uuid;

use super::Bench;
use super::message::Message;
use crate::patience::until;
use crate::system::{System, TENANT};
use crate::{log, wallets};

/// Makes the event the wallet's next one, past everything that our own code would let happen.
async fn insert_next(database: &PgPool, wallet: &str, version: &str, payload: &str) {
    const NEXT: &str =
        "UPDATE streams SET version = version + 1 WHERE aggregate_type = 'wallet' AND aggregate_id = $1
        RETURNING version";
    const INSERT: &str = "WITH head AS (UPDATE log_head SET position = position + 1 RETURNING position)
        INSERT INTO events (position, aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata,
                            event_id, command_id, content_hash)
        SELECT head.position, 'wallet', $1, $2, 'transfer-expired', $3, $4::json, '{}', $5, $5, $6 FROM head";
    let (aggregate_id, event_id) = (format!("{TENANT}.{wallet}"), Uuid::now_v7());
    let sequence: i64 = sqlx::query_scalar(NEXT).bind(&aggregate_id).fetch_one(database).await.unwrap();
    let hashed = HashedEvent {
        aggregate_type: "wallet",
        aggregate_id: &aggregate_id,
        sequence: u64::try_from(sequence).unwrap(),
        event_id,
        event_type: "transfer-expired",
        event_version: version,
        payload,
        metadata: "{}",
    };
    let inserted = sqlx::query(INSERT)
        .bind(&aggregate_id)
        .bind(sequence)
        .bind(version)
        .bind(payload)
        .bind(event_id)
        .bind(content_hash(&hashed, None))
        .execute(database)
        .await
        .unwrap();
    assert_eq!(inserted.rows_affected(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_of_an_aggregate_that_cannot_be_read_are_refused_and_the_others_go_on() {
    let Some(system) = System::start().await else { return };
    let mut bench = Bench::new(&system).await;
    let key = system.key("developer");
    let database = system.database();
    for (code, version, payload) in [
        ("aggregate_unreadable", "1.0.0", r#"{"event":"transfer-expired"}"#),
        ("event_from_future", "1.1.0", r#"{"event":"transfer-expired"}"#),
    ] {
        bench.wallet = wallets::fresh_id();
        let first = bench.good().sign(&key);
        let result = bench.result_of(&first).await;
        assert_eq!(result["status"], "accepted", "{result}");
        let wallet = bench.wallet.to_string();
        // What follows a creation is recorded by others; after it, nobody but this test writes to the stream.
        let events = format!("SELECT count(*) FROM events WHERE aggregate_id = '{TENANT}.{wallet}'");
        if code == "aggregate_unreadable" {
            until("the wallet is open", async || (log::count(&database, &events).await == 2).then_some(()))
                .await;
        }
        insert_next(&database, &wallet, version, payload).await;
        // It has the wallet in memory from before; an update begins with nothing.
        system.end("commands", Signal::SIGKILL).await;

        let head = log::events_of_tenants(&database).await;
        let refused: Message = bench.good().sign(&key);
        for _ in 0..2 {
            let refusal = bench.refusal_of(&refused).await;
            assert_eq!(refusal.code, code, "{}", refusal.message);
        }
        assert_eq!(log::traces(&database, refused.command_id).await, [0, 0, 0]);
        assert_eq!(log::events_of_tenants(&database).await, head);
        assert_eq!(bench.result_of(&first).await, result, "a resend of what was committed");

        bench.wallet = wallets::fresh_id();
        let other = bench.result_of(&bench.good().sign(&key)).await;
        assert_eq!(other["status"], "accepted", "{other}");
    }
    log::await_empty_queue(&bench.jetstream).await;
}
