//! A database that cannot hold the log, or would lose it, is refused at the door.

use nsl_event_store::{ConnectError, EventReader, EventStore, Options};

use crate::support::{with_empty_database, with_log};

#[tokio::test]
async fn a_database_without_a_log_is_refused() {
    with_empty_database(async |database| {
        let error = EventStore::connect(&database.url(), Options::default()).await.unwrap_err();
        assert!(matches!(error, ConnectError::NotMigrated), "{error:?}");
        let error = EventReader::connect("not a url", 1).await.unwrap_err();
        assert!(matches!(error, ConnectError::Url(_)), "{error:?}");
    })
    .await;
}

#[tokio::test]
async fn a_server_that_would_lose_commits_is_refused() {
    with_log(async |database| {
        database
            .execute("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$")
            .await;
        let error = EventStore::connect(&database.url(), Options::default()).await.unwrap_err();
        assert!(matches!(error, ConnectError::NotDurable { setting: "synchronous_commit" }), "{error:?}");
    })
    .await;
}

#[tokio::test]
async fn migrating_again_keeps_everything() {
    with_log(async |database| {
        let store = database.store().await;
        let fence = crate::support::take(&store, 1).await;
        store.append(&[crate::support::command(fence, "acme.one", 0, 1)]).await.unwrap();
        EventStore::migrate(&database.url()).await.unwrap();
        assert_eq!(database.store().await.head().await.unwrap(), 1);
    })
    .await;
}
