//! The log as the database has it, read with plain SQL: nothing here shares code with the writer.

use std::collections::HashMap;

use async_nats::jetstream;
use nsl_schemas::result::CommandResult;
use nsl_schemas::streams;
use sqlx::postgres::PgPool;
use uuid::Uuid;

use crate::patience::until;

/// Returns when every command was taken out of the queue: what stays would come again.
pub(crate) async fn await_empty_queue(jetstream: &jetstream::Context) {
    until("every command is acknowledged", async || {
        let stream = jetstream.get_stream(streams::COMMANDS).await.unwrap();
        (stream.cached_info().state.messages == 0).then_some(())
    })
    .await;
}

/// The last position.
pub(crate) async fn head(database: &PgPool) -> u64 {
    count(database, "SELECT position FROM log_head").await
}

/// A number that a query without arguments answers.
pub(crate) async fn count(database: &PgPool, query: &str) -> u64 {
    let number: i64 = sqlx::query_scalar(query).fetch_one(database).await.unwrap();
    u64::try_from(number).unwrap()
}

/// How many events there are but those of the service's own tenant, which records prices all the time.
pub(crate) async fn events_of_tenants(database: &PgPool) -> u64 {
    count(database, "SELECT count(*) FROM events WHERE tenant <> 'system'").await
}

/// How often the log has this command: receipts, envelopes and events.
pub(crate) async fn traces(database: &PgPool, command_id: Uuid) -> [i64; 3] {
    let query = "SELECT (SELECT count(*) FROM receipts WHERE command_id = $1), \
                        (SELECT count(*) FROM envelopes WHERE command_id = $1), \
                        (SELECT count(*) FROM events WHERE command_id = $1)";
    let (receipts, envelopes, events): (i64, i64, i64) =
        sqlx::query_as(query).bind(command_id).fetch_one(database).await.unwrap();
    [receipts, envelopes, events]
}

/// What is wrong with the log itself: gaps, repeated versions, receipts without their events,
/// signatures without or beyond their one request. Empty is right.
pub(crate) async fn faults(database: &PgPool) -> Vec<String> {
    let mut faults = Vec::new();
    for (what, query) in [
        (
            "positions are not 1, 2, 3, … up to the head",
            "SELECT count(*) FROM (SELECT count(*) AS n, min(position) AS first, max(position) AS last FROM events) e, \
             log_head h WHERE (e.n, e.first, e.last) <> (h.position, 1, h.position)",
        ),
        (
            "streams whose versions are not 1, 2, 3, … up to the recorded one",
            "SELECT count(*) FROM (SELECT aggregate_type, aggregate_id, count(*) AS n, count(DISTINCT sequence) AS d, \
             min(sequence) AS first, max(sequence) AS last FROM events GROUP BY 1, 2) e \
             FULL JOIN streams s USING (aggregate_type, aggregate_id) \
             WHERE (e.n, e.d, e.first, e.last) IS DISTINCT FROM (s.version, s.version, 1::bigint, s.version)",
        ),
        (
            "receipts whose events are not the ones that they name",
            "SELECT count(*) FROM (SELECT command_id, count(*) AS n, min(position) AS first, max(position) AS last \
             FROM events GROUP BY 1) e FULL JOIN receipts r USING (command_id) \
             WHERE (e.n, e.first, e.last) IS DISTINCT FROM \
                   (r.event_count::bigint, r.first_position, r.first_position + r.event_count - 1)",
        ),
        (
            "receipts without exactly one envelope",
            "SELECT count(*) FROM (SELECT command_id, count(*) AS n FROM envelopes GROUP BY 1) e \
             FULL JOIN receipts r USING (command_id) WHERE e.n IS DISTINCT FROM 1 OR r.command_id IS NULL",
        ),
        (
            "requests for which workers signed more than one transaction, told or not",
            "SELECT count(*) FROM (SELECT FROM envelopes WHERE subject LIKE '%.record-outcome' \
             AND payload::json #>> '{outcome,result,kind}' = 'transfer-signed' \
             GROUP BY payload::json #>> '{outcome,statement,request_sha256}' \
             HAVING count(DISTINCT payload::json #>> '{outcome,result,tx_hash}') > 1) s",
        ),
        (
            "requests that are signed twice",
            "SELECT count(*) FROM (SELECT FROM events WHERE event_type = 'transfer-signed' \
             GROUP BY payload ->> 'request_id' HAVING count(*) > 1) s",
        ),
        (
            "signatures of what was not requested before",
            "SELECT count(*) FROM events s WHERE s.event_type = 'transfer-signed' AND NOT EXISTS \
             (SELECT FROM events r WHERE r.aggregate_id = s.aggregate_id AND r.position < s.position \
              AND r.event_type = 'transfer-requested' AND r.payload ->> 'request_id' = s.payload ->> 'request_id' \
              AND r.payload ->> 'tx_hash' = s.payload ->> 'tx_hash')",
        ),
        ("event ids that are there twice", "SELECT count(*) - count(DISTINCT event_id) FROM events"),
    ] {
        let found = count(database, query).await;
        if found > 0 {
            faults.push(format!("{found} {what}"));
        }
    }
    faults
}

/// What the log says of every command: first position and number of events.
pub(crate) async fn receipts(database: &PgPool) -> HashMap<Uuid, (u64, u32)> {
    let rows: Vec<(Uuid, i64, i32)> =
        sqlx::query_as("SELECT command_id, first_position, event_count FROM receipts")
            .fetch_all(database)
            .await
            .unwrap();
    let number =
        |(id, position, events)| (id, (u64::try_from(position).unwrap(), u32::try_from(events).unwrap()));
    rows.into_iter().map(number).collect()
}

/// Whether the log has the result that a client heard.
pub(crate) fn holds(receipts: &HashMap<Uuid, (u64, u32)>, heard: &CommandResult) -> bool {
    receipts.get(&heard.command_id) == Some(&(heard.first_position, heard.event_count))
}

/// An event as a reader of the stream sees it: position, subject, id, payload.
pub(crate) type Published = (u64, String, String, String);

/// All events up to `head`, as they should be published.
pub(crate) async fn publishable(database: &PgPool, head: u64) -> Vec<Published> {
    let query = "SELECT position, 'nsl.v1.evt.' || tenant || '.' || aggregate_type || '.' || \
                        split_part(aggregate_id, '.', 2) || '.' || event_type, event_id, payload::text \
                 FROM events WHERE position <= $1 ORDER BY position";
    let rows: Vec<(i64, String, Uuid, String)> =
        sqlx::query_as(query).bind(i64::try_from(head).unwrap()).fetch_all(database).await.unwrap();
    let row = |(position, subject, id, payload): (i64, String, Uuid, String)| {
        (u64::try_from(position).unwrap(), subject, id.to_string(), payload)
    };
    rows.into_iter().map(row).collect()
}
