//! Partitions are archived, verified, detached, put back and dropped, and every reader hears of it.

use std::path::Path;

use nsl_event_store::{EventStore, Filter, ReadError};
use serde_json::{Value, json};

use crate::support::{Database, Decision, command, fence, make_small_partitions, tool_alone, with_log};

/// Positions of a partition in these tests.
const PARTITION: u64 = 40;

/// A log of 100 events in partitions of [`PARTITION`] positions: only rejections in the first two, so that no stream
/// needs them, and a wallet in the third.
async fn fill(database: &Database) -> EventStore {
    make_small_partitions(database, PARTITION).await;
    let store = database.store().await;
    let fence = fence(&store).await;
    let mut commands: Vec<_> = (0..85).map(|_| command(fence, "main", Decision::Rejection)).collect();
    commands.push(command(fence, "main", Decision::Events { version: 0, count: 15 }));
    store.append(&commands).await.unwrap();
    store
}

fn archive(database: &Database, folder: &Path) -> Vec<Value> {
    let ran = database.tool(&["archive", "--to", folder.to_str().unwrap()]);
    assert_eq!(ran.code, 0, "{ran:?}");
    ran.lines
}

fn states(database: &Database) -> Vec<String> {
    let listed = database.tool(&["partitions"]);
    listed.lines.iter().map(|one| one["state"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn sealed_partitions_are_archived_once_and_verified_without_the_database() {
    with_log(async |database| {
        fill(database).await;
        let folder = tempfile::tempdir().unwrap();
        let written = archive(database, folder.path());
        let ends: Vec<_> = written
            .iter()
            .map(|one| (one["first_position"].as_u64(), one["last_position"].as_u64()))
            .collect();
        assert_eq!(ends, [(Some(1), Some(40)), (Some(41), Some(80))]);
        assert_eq!(states(database), ["archived", "archived", "open", "open"]);
        assert_eq!(archive(database, folder.path()), Vec::<Value>::new(), "nothing is archived twice");

        let checksums =
            std::fs::read_to_string(folder.path().join("events-0000000000000000041.nsla.sha256")).unwrap();
        assert!(checksums.starts_with(written[1]["sha256"].as_str().unwrap()), "{checksums}");
        let verified = tool_alone(&["verify", folder.path().to_str().unwrap()]);
        let expected =
            json!({"outcome":"intact","first_position":1,"last_position":80,"events":80,"commands":80});
        assert_eq!((verified.code, verified.lines), (0, vec![expected]));

        std::fs::remove_file(folder.path().join("events-0000000000000000001.nsla")).unwrap();
        std::fs::copy(
            folder.path().join("events-0000000000000000041.nsla"),
            folder.path().join("twice.nsla"),
        )
        .unwrap();
        let twice = tool_alone(&["verify", folder.path().to_str().unwrap()]);
        assert_eq!((twice.code, &twice.lines[0]["outcome"]), (3, &json!("altered")), "{twice:?}");
    })
    .await;
}

#[tokio::test]
async fn a_log_changed_in_the_database_is_named_by_position_and_never_archived() {
    with_log(async |database| {
        fill(database).await;
        let intact = database.tool(&["verify", "--database", &database.url()]);
        assert_eq!((intact.code, &intact.lines[0]["events"]), (0, &json!(100)), "{intact:?}");
        database
            .alter("UPDATE events SET payload = (payload::text || ' ')::json WHERE position IN (57, 90)")
            .await;
        let verified = database.tool(&["verify", "--database", &database.url()]);
        assert_eq!((verified.code, &verified.lines[0]["position"]), (3, &json!(57)), "{verified:?}");
        let folder = tempfile::tempdir().unwrap();
        let ran = database.tool(&["archive", "--to", folder.path().to_str().unwrap()]);
        assert_eq!((ran.code, ran.lines.len()), (3, 2), "the first partition is whole: {ran:?}");
        assert_eq!(states(database)[..2], ["archived", "sealed"]);
        assert!(!folder.path().join("events-0000000000000000041.nsla").exists());
    })
    .await;
}

#[tokio::test]
async fn detached_positions_are_a_named_error_until_they_are_put_back() {
    with_log(async |database| {
        let store = fill(database).await;
        let refused = database.tool(&["detach", "--before", "81"]);
        assert_eq!(refused.code, 1, "not archived yet: {refused:?}");
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().to_str().unwrap();
        archive(database, folder.path());
        let expected: Vec<_> = store.read(0, 100, &Filter::default()).await.unwrap().events;

        let detached = database.tool(&["detach", "--before", "81"]);
        assert_eq!((detached.code, detached.lines.len()), (0, 2), "{detached:?}");
        assert_eq!(states(database)[..3], ["detached", "detached", "open"]);
        let rejections = Filter { aggregate_types: vec!["rejection".into()], ..Filter::default() };
        for filter in [Filter::default(), rejections] {
            let error = store.read(50, 100, &filter).await.unwrap_err();
            assert!(matches!(error, ReadError::Archived { position: 51, available_from: 81 }), "{error}");
            assert_eq!(store.read(80, 100, &filter).await.unwrap().position, 100);
            let options = nsl_event_store::ReplayOptions { filter, ..Default::default() };
            let mut replay = store.replay(options).await.unwrap();
            assert!(matches!(replay.next_page().await, Err(ReadError::Archived { .. })));
        }
        let stream = &expected[3].aggregate_id;
        let error = store.load_stream("rejection", stream, 0).await.unwrap_err();
        assert!(matches!(error, ReadError::ArchivedStream { sequence: 1, available_from: 81 }), "{error}");
        assert_eq!(store.load_stream("wallet", "acme.main", 0).await.unwrap().len(), 15);
        assert_eq!(store.load_stream("wallet", "acme.new", 0).await.unwrap(), []);
        assert!(matches!(store.events_at(&[80, 81]).await, Err(ReadError::Archived { .. })));
        assert!(matches!(store.envelopes(&[80, 81]).await, Err(ReadError::Archived { .. })));
        assert!(matches!(store.envelope(80).await, Err(ReadError::Archived { .. })));
        assert!(store.envelope(87).await.unwrap().is_none(), "not a command's first event");
        let fence = fence(&store).await;
        store.append(&[command(fence, "main", Decision::Events { version: 15, count: 1 })]).await.unwrap();

        let receipts = database.tool(&["receipts", "--check", "--archives", from]);
        assert_eq!((receipts.code, &receipts.lines[0]["receipts"]), (0, &json!(87)), "{receipts:?}");
        let without = database.tool(&["receipts", "--check"]);
        assert_eq!(without.code, 1, "{without:?}");

        let attached = database.tool(&["attach", "--from", "1"]);
        assert_eq!((attached.code, attached.lines.len()), (0, 2), "{attached:?}");
        let again = store.read(0, 100, &Filter::default()).await.unwrap().events;
        assert!(again == expected);
    })
    .await;
}

#[tokio::test]
async fn tables_are_dropped_only_behind_an_archive_that_reads() {
    with_log(async |database| {
        fill(database).await;
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().to_str().unwrap();
        archive(database, folder.path());
        let file = folder.path().join("events-0000000000000000001.nsla");
        let original = std::fs::read(&file).unwrap();
        let mut damaged = original.clone();
        damaged[100] ^= 1;
        std::fs::write(&file, damaged).unwrap();
        let drop = ["detach", "--before", "41", "--drop", "--from", from];
        assert_eq!(database.tool(&drop).code, 3);
        assert_eq!(database.number("SELECT count(*) FROM events_p0000000000000000001").await, 40);
        // Another whole archive in its place is not the one that was remembered.
        std::fs::copy(folder.path().join("events-0000000000000000041.nsla"), &file).unwrap();
        assert_eq!(database.tool(&drop).code, 3);
        std::fs::write(&file, original).unwrap();
        let dropped = database.tool(&drop);
        assert_eq!((dropped.code, &dropped.lines[0]["outcome"]), (0, &json!("dropped")), "{dropped:?}");
        assert_eq!(states(database)[..2], ["dropped", "archived"]);
        let absent = "SELECT count(*) FROM pg_class WHERE relname LIKE 'e%_p0000000000000000001'";
        assert_eq!(database.number(absent).await, 0);
        assert_eq!(database.tool(&["attach", "--from", "1"]).code, 1, "there is nothing left to attach");
    })
    .await;
}

#[tokio::test]
async fn a_partition_that_streams_still_need_is_not_detached() {
    with_log(async |database| {
        let store = fill(database).await;
        let fence = fence(&store).await;
        let mut version = 15;
        // The wallet's third partition is full then, and sealed.
        while store.head().await.unwrap() <= 3 * PARTITION {
            store.append(&[command(fence, "main", Decision::Events { version, count: 1 })]).await.unwrap();
            version += 1;
        }
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(archive(database, folder.path()).len(), 3);
        let refused = database.tool(&["detach", "--before", "121"]);
        assert_eq!(refused.code, 1, "{refused:?}");
        let reason = refused.lines.last().unwrap()["reason"].as_str().unwrap();
        assert!(reason.contains("wallet acme.main"), "{reason}");
        assert_eq!(states(database)[..3], ["detached", "detached", "archived"]);
    })
    .await;
}

#[tokio::test]
async fn only_the_owner_directs_partitions() {
    with_log(async |database| {
        fill(database).await;
        for statement in [
            "SELECT seal_log_partitions()",
            "SELECT record_log_archive(1, 'f', sha256('x'), 40)",
            "SELECT detach_log_partition(1)",
            "SELECT attach_log_partition(1)",
            "SELECT drop_log_partition(1)",
            "UPDATE log_partitions SET state = 'dropped'",
        ] {
            for role in ["nsl_writer", "nsl_reader"] {
                let mut session = database.session().await;
                sqlx::raw_sql(&format!("SET ROLE {role}")).execute(&mut session).await.unwrap();
                let refused = sqlx::raw_sql(statement).execute(&mut session).await.unwrap_err();
                let code = refused.as_database_error().unwrap().code().unwrap().into_owned();
                assert_eq!(code, "42501", "{role}: {statement}");
            }
        }
        for statement in
            ["SELECT detach_log_partition(1)", "SELECT record_log_archive(81, 'f', sha256('x'), 40)"]
        {
            let refused = sqlx::raw_sql(statement).execute(&mut database.session().await).await.unwrap_err();
            let code = refused.as_database_error().unwrap().code().unwrap().into_owned();
            assert_eq!(code, "55000", "not archived, not sealed: {statement}");
        }
    })
    .await;
}
