//! What is recorded stays as it is, whoever asks: here the owner of the tables itself.

use crate::log;
use crate::system::System;

/// The SQLSTATE of an insufficient privilege.
const DENIED: &str = "42501";

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_of_the_log_changes_and_removes_nothing() {
    let Some(system) = System::start().await else { return };
    let database = system.database();
    let before: Vec<(i64, String)> = rows(&database).await;
    assert!(!before.is_empty());
    for table in ["events", "envelopes", "receipts"] {
        for statement in [
            format!("UPDATE {table} SET command_id = gen_random_uuid()"),
            format!("DELETE FROM {table}"),
            format!("TRUNCATE {table}"),
        ] {
            let refused = sqlx::raw_sql(&statement).execute(&database).await.expect_err(&statement);
            let refused = refused.into_database_error().unwrap();
            assert_eq!(refused.code().as_deref(), Some(DENIED), "{statement}: {refused}");
        }
    }
    let after = rows(&database).await;
    assert_eq!(after[..before.len()], before);
    assert_eq!(log::faults(&database).await, [""; 0]);
}

async fn rows(database: &sqlx::PgPool) -> Vec<(i64, String)> {
    let query = "SELECT position, event_id::text || payload::text FROM events ORDER BY position";
    sqlx::query_as(query).fetch_all(database).await.unwrap()
}
