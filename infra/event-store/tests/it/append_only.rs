//! No role changes or removes what is recorded, and none writes past the append.

use nsl_event_store::{EventReader, EventStore, Filter, Options};
use sqlx::Connection;
use uuid::Uuid;

use crate::support::{Database, command, take, with_log};

const TABLES: [&str; 5] =
    ["events", "envelopes", "receipts", "events_p0000000000000000001", "envelopes_p0000000000000000001"];

/// The SQLSTATE of an insufficient privilege: what a missing grant and the append-only triggers both answer.
const DENIED: &str = "42501";

/// Runs a statement and answers its SQLSTATE and message, or `None` when it was carried out.
async fn refusal(database: &Database, setup: &str, statement: &str) -> Option<(String, String)> {
    let mut session = database.session().await;
    sqlx::raw_sql(setup).execute(&mut session).await.unwrap();
    let error = sqlx::raw_sql(statement).execute(&mut session).await.err()?;
    session.close().await.unwrap();
    let error = error.into_database_error().unwrap();
    Some((error.code().unwrap_or_default().into_owned(), error.message().to_owned()))
}

#[tokio::test]
async fn nobody_updates_deletes_or_truncates() {
    with_log(async |database| {
        let store = database.store().await;
        let fence = take(&store, 1).await;
        store.append(&[command(fence, "acme.one", 0, 2)]).await.unwrap();
        for table in TABLES {
            for statement in [
                format!("UPDATE {table} SET command_id = command_id"),
                format!("DELETE FROM {table} WHERE false"),
                format!("TRUNCATE {table}"),
                format!("TRUNCATE {table} CASCADE"),
            ] {
                for role in ["SET ROLE nsl_writer", "SET ROLE nsl_reader"] {
                    let (code, _) = refusal(database, role, &statement).await.unwrap();
                    assert_eq!(code, DENIED, "{role}: {statement}");
                }
                for owner in ["", "SET session_replication_role = replica"] {
                    let (code, message) = refusal(database, owner, &statement).await.unwrap();
                    assert_eq!(code, DENIED, "{owner}: {statement}");
                    assert!(message.contains("append-only"), "{statement}: {message}");
                }
            }
        }
        assert_eq!(store.read(0, 10, &Filter::default()).await.unwrap().events.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn the_group_roles_write_through_functions_only() {
    with_log(async |database| {
        for role in ["nsl_writer", "nsl_reader"] {
            for statement in [
                "INSERT INTO streams VALUES ('account', 'acme.one', 5)",
                "UPDATE log_head SET position = 9",
                "UPDATE partition_lease SET epoch = 9",
                "DELETE FROM streams",
                "INSERT INTO receipts VALUES (gen_random_uuid(), 'i', decode(repeat('00', 32), 'hex'), 1, 1, '{}')",
                "SELECT make_log_partition('events', 5000000, 5000001)",
                "SELECT make_append_only('streams')",
            ] {
                let (code, _) = refusal(database, &format!("SET ROLE {role}"), statement).await.unwrap();
                assert_eq!(code, DENIED, "{role}: {statement}");
            }
        }
        for statement in ["SELECT take_partitions('me', '{1}', 1000)", "SELECT ensure_event_partitions(5)"] {
            let (code, _) = refusal(database, "SET ROLE nsl_reader", statement).await.unwrap();
            assert_eq!(code, DENIED, "{statement}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_writer_appends_and_a_reader_reads_without_more_rights() {
    with_log(async |database| {
        let tag = Uuid::now_v7().simple().to_string();
        let (writer, reader) = (format!("nsl_test_writer_{tag}"), format!("nsl_test_reader_{tag}"));
        for (role, group) in [(&writer, "nsl_writer"), (&reader, "nsl_reader")] {
            database.execute(&format!("CREATE ROLE {role} LOGIN PASSWORD 'secret' IN ROLE {group}")).await;
        }

        let store =
            EventStore::connect(&database.url_of(&writer, "secret"), Options::default()).await.unwrap();
        let fence = take(&store, 1).await;
        let one = command(fence, "acme.one", 0, 1);
        store.append(std::slice::from_ref(&one)).await.unwrap();
        let read_only = EventReader::connect(&database.url_of(&reader, "secret"), 1).await.unwrap();
        assert_eq!(read_only.read(0, 10, &Filter::default()).await.unwrap().events.len(), 1);
        assert_eq!(read_only.receipts(&[one.command_id]).await.unwrap().len(), 1);
        assert!(read_only.envelope(1).await.unwrap().is_some());
        assert_eq!(read_only.leases().await.unwrap()[1].epoch, fence.epoch);

        database.execute(&format!("DROP ROLE {writer}; DROP ROLE {reader}")).await;
    })
    .await;
}
