//! Every receipt follows from the log alone.

use nsl_event_store::EventStore;
use serde_json::json;

use crate::support::{Database, Decision, beginning, command, fence, manifest, with_log};

/// The whole row, as text.
const ROWS: &str = "SELECT string_agg(r::text, E'\\n' ORDER BY first_position) FROM receipts AS r";

/// A log with a beginning, accepted commands of one and several events, and rejections: 300 commands.
async fn fill(database: &Database) -> EventStore {
    let store = database.store().await;
    let fence = fence(&store).await;
    let mut commands = vec![beginning(fence, &manifest("receipts"))];
    let mut version = 0;
    for round in 0..100 {
        let count = 1 + round % 5;
        commands.push(command(fence, "main", Decision::Events { version, count }));
        version += u64::from(count);
        commands.push(command(fence, "main", Decision::Rejection));
        commands.push(command(fence, &format!("one-{round}"), Decision::Events { version: 0, count: 2 }));
    }
    for batch in commands.chunks(100) {
        store.append(batch).await.unwrap();
    }
    store
}

async fn rows(database: &Database) -> String {
    sqlx::query_scalar(ROWS).fetch_one(&mut database.session().await).await.unwrap()
}

#[tokio::test]
async fn receipts_rebuilt_from_the_log_are_the_recorded_ones_byte_for_byte() {
    with_log(async |database| {
        fill(database).await;
        let checked = database.tool(&["receipts", "--check"]);
        assert_eq!((checked.code, checked.lines.len()), (0, 1), "{checked:?}");
        assert_eq!(checked.lines[0]["outcome"], "equal");
        assert_eq!(checked.lines[0]["receipts"], 301);
        with_log(async |fresh| {
            let rebuilt = database.tool(&["receipts", "--rebuild-into", &fresh.url()]);
            assert_eq!(rebuilt.code, 0, "{rebuilt:?}");
            assert_eq!(
                rebuilt.lines,
                [json!({"outcome":"rebuilt","receipts":301,"differing":0,"commands":[]})]
            );
            let (recorded, derived) = (rows(database).await, rows(fresh).await);
            assert_eq!(recorded.lines().count(), 301);
            for kind in ["\"\"accepted\"\"", "\"\"rejected\"\"", "over the limit, ä"] {
                assert!(recorded.contains(kind), "{kind}");
            }
            assert!(recorded == derived);
            let again = database.tool(&["receipts", "--rebuild-into", &fresh.url()]);
            assert_eq!(again.code, 1, "{again:?}");
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_receipt_that_does_not_follow_from_the_log_is_named() {
    let changes = [
        "UPDATE receipts SET answer = '{\"status\":\"accepted\",\"version\":9}' WHERE first_position = 2",
        "UPDATE receipts SET issuer = 'UOTHER' WHERE first_position = 2",
        "UPDATE receipts SET request_hash = sha256('x') WHERE first_position = 2",
        "UPDATE receipts SET event_count = 9 WHERE first_position = 2",
        "UPDATE receipts SET answer = answer || ' ' WHERE first_position = 2",
        "DELETE FROM receipts WHERE first_position = 2",
        "INSERT INTO receipts SELECT gen_random_uuid(), issuer, request_hash, first_position, event_count, answer
           FROM receipts WHERE first_position = 2",
    ];
    for change in changes {
        with_log(async |database| {
            fill(database).await;
            database.alter(change).await;
            let checked = database.tool(&["receipts", "--check"]);
            assert_eq!((checked.code, &checked.lines[0]["outcome"]), (3, &json!("different")), "{change}");
            assert_eq!(checked.lines[0]["differing"], 1, "{change}: {checked:?}");
        })
        .await;
    }
}
