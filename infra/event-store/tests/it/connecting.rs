//! A database that cannot hold the log, or would lose it, is refused at the door.

use nsl_event_store::{
    AppendError, ConnectError, EventReader, EventStore, LeaseError, MigrateError, Options,
};

use crate::support::{LONG, command, take, with_empty_database, with_log};

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

/// A standby whose primary is gone, and is promoted later, looks like this from a session.
#[tokio::test]
async fn a_server_that_takes_no_writes_is_refused_by_name_until_it_does() {
    with_log(async |database| {
        let set = async |what: &str| {
            let alter = format!("EXECUTE format('ALTER DATABASE %I {what}', current_database())");
            database.execute(&format!("SET TRANSACTION READ WRITE; DO $$ BEGIN {alter}; END $$")).await;
        };
        let store = database.store().await;
        let fence = take(&store, 1).await;
        set("SET default_transaction_read_only = on").await;
        database
            .execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE datname = current_database() AND pid <> pg_backend_pid()",
            )
            .await;
        // Sessions that rested are looked at before they are used.
        tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
        let next = [command(fence, "acme.one", 0, 1)];
        let refused = store.append(&next).await.unwrap_err();
        assert!(matches!(refused, AppendError::ReadOnly { .. }), "{refused:?}");
        let refused = store.renew_partitions("test", &[fence], LONG).await.unwrap_err();
        assert!(matches!(refused, LeaseError::ReadOnly { .. }), "{refused:?}");
        let refused = EventStore::connect(&database.url(), Options::default()).await.unwrap_err();
        assert!(matches!(refused, ConnectError::ReadOnly), "{refused:?}");
        let refused = EventStore::migrate(&database.url()).await.unwrap_err();
        assert!(matches!(refused, MigrateError::ReadOnly), "{refused:?}");

        set("RESET default_transaction_read_only").await;
        // The session of the refused append was closed, and the one of the lease is closed when it is looked at.
        tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
        store.append(&next).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn migrating_again_keeps_everything() {
    with_log(async |database| {
        let store = database.store().await;
        let fence = take(&store, 1).await;
        store.append(&[command(fence, "acme.one", 0, 1)]).await.unwrap();
        EventStore::migrate(&database.url()).await.unwrap();
        assert_eq!(database.store().await.head().await.unwrap(), 1);
    })
    .await;
}
