//! Partitions are there before the head reaches them.

use nsl_event_store::PARTITION_POSITIONS;

use crate::support::{Database, command, take, with_log};

/// Pretends that the log is so long. Nothing but a test may: the positions below have no events.
async fn move_head(database: &Database, position: u64) {
    database.execute(&format!("UPDATE log_head SET position = {position}")).await;
}

async fn partitions(database: &Database) -> i64 {
    database.number("SELECT count(*) FROM pg_inherits WHERE inhparent = 'events'::regclass").await
}

#[tokio::test]
async fn an_append_near_the_end_makes_the_next_partition_and_runs_on_into_it() {
    with_log(async |database| {
        let store = database.store().await;
        let fence = take(&store, 1).await;
        move_head(database, PARTITION_POSITIONS / 2 - 5).await;
        store.append(&[command(fence, "acme.one", 0, 2)]).await.unwrap();
        assert_eq!(partitions(database).await, 1);
        store.append(&[command(fence, "acme.one", 2, 8)]).await.unwrap();
        assert_eq!(partitions(database).await, 2);

        move_head(database, PARTITION_POSITIONS - 3).await;
        let across = store.append(&[command(fence, "acme.one", 10, 8)]).await.unwrap();
        assert_eq!(across.first_position, PARTITION_POSITIONS - 2);
        let stream = store.load_stream("account", "acme.one", 0).await.unwrap();
        assert_eq!(
            stream.iter().map(|event| event.sequence).collect::<Vec<_>>(),
            (1..=18).collect::<Vec<_>>()
        );
        assert_eq!(database.number("SELECT count(*) FROM events_p0000000000001000001").await, 5);
    })
    .await;
}

#[tokio::test]
async fn connecting_makes_the_partitions_that_are_missing_and_they_are_append_only() {
    with_log(async |database| {
        move_head(database, 3 * PARTITION_POSITIONS).await;
        let (one, other) = tokio::join!(database.store(), database.store());
        assert_eq!(partitions(database).await, 4);
        let fence = take(&one, 1).await;
        other.append(&[command(fence, "acme.one", 0, 1)]).await.unwrap();
        for table in ["events", "envelopes"] {
            let statement = format!("TRUNCATE {table}_p0000000000003000001");
            let refused = sqlx::raw_sql(&statement).execute(&mut database.session().await).await.unwrap_err();
            assert!(refused.to_string().contains("append-only"), "{refused}");
        }
    })
    .await;
}
