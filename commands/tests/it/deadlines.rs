//! Transfers that no worker signs: they expire by their deadlines, once, whatever ends the service meanwhile.

use nsl_client::SendError;
use nsl_schemas::bytes::Sha256;
use nsl_schemas::command::wallet::RecordOutcome;
use nsl_schemas::envelope::Envelope;
use nsl_schemas::errors;
use nsl_schemas::ids;
use nsl_schemas::streams;
use uuid::Uuid;

use crate::log::{Writer, signed_outcome, transfer};
use crate::world::{World, app_key, host_key, until, with_world};

const REQUEST: &str = "nsl.v1.cmd.acme.wallet.main.request-transfer";
const REPORT: &str = "nsl.v1.cmd.acme.wallet.main.record-outcome";
/// Most open transfers of a wallet.
const PLACES: i64 = 256;
const EXPIRED: &str = "transfer-request-expired";
/// A deadline long ago.
const PAST_MS: u64 = 1_000;
/// Beyond any test.
const HOUR_MS: u64 = 3_600_000;

async fn ask(world: &World) -> Result<Uuid, String> {
    let request_id = Uuid::now_v7();
    match world.send(&world.client(app_key()), request_id, REQUEST, &transfer()).await {
        Ok(_) => Ok(request_id),
        Err(SendError::Rejected { code, .. }) => Err(code),
        Err(error) => panic!("{error}"),
    }
}

async fn report_signature(world: &World, request_id: Uuid) -> Result<(), String> {
    let envelope = "SELECT envelope::text FROM envelopes WHERE command_id = $1";
    let envelope: String =
        sqlx::query_scalar(envelope).bind(request_id).fetch_one(&world.pool).await.unwrap();
    let request_sha256: Sha256 = serde_json::from_str::<Envelope>(&envelope).unwrap().request_sha256();
    let outcome = signed_outcome(request_id, request_sha256);
    let command_id = ids::outcome_command_id(outcome.statement.job_id, &outcome);
    match world.send(&world.client(host_key()), command_id, REPORT, &RecordOutcome { outcome }).await {
        Ok(_) => Ok(()),
        Err(SendError::Rejected { code, .. }) => Err(code),
        Err(error) => panic!("{error}"),
    }
}

/// Each request was given up by one command, under the id that follows from it, and no such command was rejected.
async fn check_expiries(world: &World, requests: &[Uuid]) {
    for request_id in requests {
        let query = "SELECT command_id FROM events WHERE event_type = $1 AND payload->>'request_id' = $2";
        let commands: Vec<Uuid> = sqlx::query_scalar(query)
            .bind(EXPIRED)
            .bind(request_id.to_string())
            .fetch_all(&world.pool)
            .await
            .unwrap();
        assert_eq!(commands, [ids::process_command_id(*request_id, "transfer", "expire")]);
    }
    let rejected = "SELECT count(*) FROM events WHERE event_type = 'command-rejected' \
                    AND payload->>'subject' LIKE '%expire-request'";
    assert_eq!(world.number(rejected).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn unsigned_transfers_expire_free_their_places_and_take_no_late_signature() {
    with_world(async |world| {
        world.begin_log().await;
        let mut writer = Writer::open(&world.database).await;
        writer.open_wallet().await;
        writer.close().await;
        let service = world.start(1);
        let mut requests = Vec::new();
        for _ in 0..PLACES {
            requests.push(ask(world).await.unwrap());
        }
        let full = errors::TOO_MANY_OPEN_TRANSFERS.code.to_owned();
        assert_eq!(ask(world).await, Err(full), "nobody signs, so every place is taken");
        until("the pool is asked to sign all of them", async || {
            (world.given(streams::JOBS).await >= PLACES.unsigned_abs()).then_some(())
        })
        .await;
        service.kill();
        let service = world.start(HOUR_MS);
        until("every request expires", async || (world.events(EXPIRED).await == PLACES).then_some(())).await;
        check_expiries(world, &requests).await;
        for request_id in &requests[..3] {
            let late = report_signature(world, *request_id).await;
            assert_eq!(late, Err(errors::OUTCOME_UNEXPECTED.code.to_owned()));
        }
        assert_eq!(world.events("transfer-signed").await, 0);
        let next = ask(world).await.unwrap();
        assert_eq!(report_signature(world, next).await, Ok(()), "a signature in time is taken");
        let waiting = ask(world).await.unwrap();
        check_rebuilt(world, service, &[next, waiting]).await;
        check_expiries(world, &requests).await;
    })
    .await;
}

/// The memory is lost, and made again from the log; nothing is done again but the jobs of what is open.
async fn check_rebuilt(world: &World, service: crate::service::Service, open: &[Uuid]) {
    let memory = world.memory().await;
    assert_eq!(memory.iter().map(|(request_id, ..)| *request_id).collect::<Vec<_>>(), open);
    service.kill();
    sqlx::query("DROP SCHEMA reactor CASCADE").execute(&world.pool).await.unwrap();
    let (commands, jobs) = (world.given(streams::COMMANDS).await, world.given(streams::JOBS).await);
    let head = world.number("SELECT position FROM log_head").await;
    let service = world.start(HOUR_MS);
    until("the jobs of what is open are published again", async || {
        (world.given(streams::JOBS).await >= jobs + 2).then_some(())
    })
    .await;
    assert_eq!(world.memory().await, memory);
    assert_eq!(world.given(streams::JOBS).await, jobs + 2, "a replay publishes nothing that was answered");
    assert_eq!(world.given(streams::COMMANDS).await, commands, "a replay sends no command again");
    assert_eq!(world.number("SELECT position FROM log_head").await, head);
    drop(service);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_sends_only_what_was_never_answered() {
    with_world(async |world| {
        world.begin_log().await;
        let mut writer = Writer::open(&world.database).await;
        writer.open_wallet().await;
        let signed = writer.request(PAST_MS).await;
        let given_up = writer.request(PAST_MS).await;
        let open = writer.request(PAST_MS).await;
        writer.sign(signed).await;
        writer.expire(given_up, PAST_MS).await;
        writer.close().await;
        let (commands, jobs) = (world.given(streams::COMMANDS).await, world.given(streams::JOBS).await);
        let service = world.start(HOUR_MS);
        until("the open request expires", async || (world.events(EXPIRED).await == 2).then_some(())).await;
        check_expiries(world, &[given_up, open]).await;
        let memory = world.memory().await;
        assert_eq!(memory.iter().map(|(request_id, ..)| *request_id).collect::<Vec<_>>(), [signed]);
        assert_eq!(world.given(streams::COMMANDS).await, commands + 1, "one was never answered");
        until("jobs of what was open are published", async || {
            (world.given(streams::JOBS).await >= jobs + 2).then_some(())
        })
        .await;
        drop(service);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_expires_once_however_often_the_service_is_killed_meanwhile() {
    with_world(async |world| {
        world.begin_log().await;
        let mut writer = Writer::open(&world.database).await;
        writer.open_wallet().await;
        let mut requests = Vec::new();
        for _ in 0..PLACES {
            requests.push(writer.request(PAST_MS).await);
        }
        writer.close().await;
        // Killed at the first commands of each page of deadlines, and in the middle of one.
        for expired in [1, 30, 65, 66, 150, 200] {
            let service = world.start(HOUR_MS);
            until("some requests expire", async || (world.events(EXPIRED).await >= expired).then_some(()))
                .await;
            service.kill();
        }
        let service = world.start(HOUR_MS);
        until("every request expires", async || (world.events(EXPIRED).await == PLACES).then_some(())).await;
        assert_eq!(world.memory().await, []);
        check_expiries(world, &requests).await;
        drop(service);
    })
    .await;
}
