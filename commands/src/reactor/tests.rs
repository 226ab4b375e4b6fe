//! The memory step by step on a real Postgres, with a crash after each.

use std::time::Duration;

use nsl_schemas::number::UnixMs;
use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgPool};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::*;

const RETRY: Duration = Duration::from_secs(30);
const RETRY_MS: u64 = 30_000;
const HOUR: Duration = Duration::from_hours(1);

fn signing(number: u128, position: u64, sign_by_ms: u64) -> Process {
    let state = State::Signing { sign_by_ms: Some(UnixMs(sign_by_ms)) };
    Process { request_id: Uuid::from_u128(number), state, position }
}

fn due_ms(process: Process) -> u64 {
    process.state.due_ms().unwrap()
}

/// Runs a test on an empty memory of its own.
async fn with_memory(test: impl AsyncFnOnce(&PgPool)) {
    let Ok(url) = std::env::var("NSL_TEST_DATABASE_URL") else {
        use std::io::Write as _;
        writeln!(std::io::stderr(), "SKIPPED: NSL_TEST_DATABASE_URL names no Postgres").unwrap();
        return;
    };
    let options: PgConnectOptions = url.parse().unwrap();
    let mut server = options.connect().await.unwrap();
    let name = format!("nsl_reactor_{}", Uuid::now_v7().simple());
    sqlx::query(&format!("CREATE DATABASE {name}")).execute(&mut server).await.unwrap();
    let options = options.database(&name);
    migrate(options.to_url_lossy().as_str()).await.unwrap();
    let pool = PgPool::connect_with(options).await.unwrap();
    test(&pool).await;
    pool.close().await;
    sqlx::query(&format!("DROP DATABASE {name} WITH (FORCE)")).execute(&mut server).await.unwrap();
}

/// The memory as the next life of the reactor finds it.
async fn reborn(pool: &PgPool) -> Memory {
    Memory::lock(pool, || {}, &CancellationToken::new()).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_page_is_remembered_whole_with_its_position() {
    with_memory(async |pool| {
        let [first, second] = [signing(1, 10, 5_000), signing(2, 11, 6_000)];
        reborn(pool).await.record(&[first, second], 12, Some(HOUR)).await.unwrap();
        let mut memory = reborn(pool).await;
        assert_eq!(memory.checkpoint().await.unwrap(), 12);
        let submitting = Process { state: State::Submitting, position: 13, ..first };
        let over = Process { state: State::Over, position: 14, ..second };
        memory.record(&[submitting, over], 14, Some(HOUR)).await.unwrap();
        drop(memory);
        let mut memory = reborn(pool).await;
        let found = memory.load(&[first.request_id, second.request_id, Uuid::nil()]).await.unwrap();
        assert_eq!(found, HashMap::from([(first.request_id, submitting)]));
        assert_eq!(
            memory.take_due(u64::MAX, RETRY, 9).await.unwrap(),
            [],
            "a signed transfer has no deadline"
        );
    })
    .await;
}

#[tokio::test]
async fn a_deadline_comes_again_after_a_crash_until_its_command_is_answered() {
    with_memory(async |pool| {
        let process = signing(1, 10, 5_000);
        let now_ms = due_ms(process);
        reborn(pool).await.record(&[process], 10, Some(HOUR)).await.unwrap();
        assert_eq!(reborn(pool).await.take_due(now_ms - 1, RETRY, 9).await.unwrap(), []);
        // Each of these lives ends between the command and its answer.
        for life in 0..3 {
            let now_ms = now_ms + life * RETRY_MS;
            let mut memory = reborn(pool).await;
            assert_eq!(memory.take_due(now_ms, RETRY, 9).await.unwrap(), [process], "life {life}");
            assert_eq!(memory.take_due(now_ms + RETRY_MS - 1, RETRY, 9).await.unwrap(), [], "under way");
        }
        let mut memory = reborn(pool).await;
        assert_eq!(memory.take_due(now_ms + 3 * RETRY_MS, RETRY, 9).await.unwrap(), [process]);
        memory.settle(process).await.unwrap();
        drop(memory);
        assert_eq!(reborn(pool).await.take_due(u64::MAX, RETRY, 9).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn an_answer_to_an_earlier_step_leaves_a_later_deadline() {
    with_memory(async |pool| {
        let (earlier, later) = (signing(1, 10, 5_000), signing(1, 20, 9_000));
        let mut memory = reborn(pool).await;
        memory.record(&[earlier], 10, Some(HOUR)).await.unwrap();
        assert_eq!(memory.take_due(due_ms(earlier), RETRY, 9).await.unwrap(), [earlier]);
        memory.record(&[later], 20, Some(HOUR)).await.unwrap();
        memory.settle(earlier).await.unwrap();
        assert_eq!(memory.take_due(due_ms(later), RETRY, 9).await.unwrap(), [later]);
    })
    .await;
}

#[tokio::test]
async fn passed_deadlines_are_taken_in_bounded_pages_the_oldest_first() {
    with_memory(async |pool| {
        let mut memory = reborn(pool).await;
        let all: Vec<Process> = (0..5).map(|n| signing(u128::from(9 - n), 10 + n, 5_000 + n)).collect();
        memory.record(&all, 20, Some(HOUR)).await.unwrap();
        let mut taken = Vec::new();
        for expected in [2, 2, 1, 0] {
            let mut page = memory.take_due(100_000, RETRY, 2).await.unwrap();
            assert_eq!(page.len(), expected);
            page.sort_by_key(|process| process.position);
            taken.extend(page);
        }
        assert_eq!(taken, all);
    })
    .await;
}

#[tokio::test]
async fn jobs_that_a_replay_leaves_open_are_overdue_at_once_and_then_like_all() {
    with_memory(async |pool| {
        let (replayed, live) = (signing(1, 10, 5_000), signing(2, 11, 5_000));
        reborn(pool).await.record(&[replayed], 10, None).await.unwrap();
        let mut memory = reborn(pool).await;
        memory.record(&[live], 11, Some(HOUR)).await.unwrap();
        assert_eq!(memory.take_overdue(HOUR, 9).await.unwrap(), [replayed]);
        assert_eq!(memory.take_overdue(HOUR, 9).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn repeats_of_a_job_that_nobody_does_come_further_and_further_apart() {
    with_memory(async |pool| {
        let mut memory = reborn(pool).await;
        memory.record(&[signing(1, 10, 5_000)], 10, Some(Duration::ZERO)).await.unwrap();
        for hours in [2, 4, 8, 16, 32, 32, 32] {
            assert_eq!(memory.take_overdue(HOUR, 9).await.unwrap().len(), 1);
            assert_eq!(memory.take_overdue(HOUR, 9).await.unwrap(), []);
            let is_apart = "SELECT round(extract(epoch FROM publish_at - clock_timestamp()) / 3600)::bigint \
                            FROM reactor.processes";
            let apart: i64 = sqlx::query_scalar(is_apart).fetch_one(pool).await.unwrap();
            assert_eq!(apart, hours);
            sqlx::query("UPDATE reactor.processes SET publish_at = clock_timestamp()")
                .execute(pool)
                .await
                .unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn only_one_reactor_holds_the_memory() {
    with_memory(async |pool| {
        let held = reborn(pool).await;
        let stop = CancellationToken::new();
        let (pool, stopped) = (pool.clone(), stop.clone());
        let second =
            tokio::spawn(async move { Memory::lock(&pool, || {}, &stopped).await.unwrap().is_some() });
        stop.cancel();
        assert!(!second.await.unwrap(), "the second waits until it is stopped");
        drop(held);
    })
    .await;
}

fn requested(position: u64, request_id: Uuid) -> (u64, WalletEvent) {
    let text = format!(
        r#"{{"event":"transfer-requested","request_id":"{request_id}","request_sha256":"{}","sign_by_ms":"7",
            "transfer":{{"network_magic":1,"asset":"a","to":"t","amount":"1","system_fee_datoshi":"1",
            "network_fee_datoshi":"1","valid_until_block":9}},"tx_hash":"0x"}}"#,
        "00".repeat(32)
    );
    (position, serde_json::from_str(&text).unwrap())
}

fn given_up(position: u64, request_id: Uuid) -> (u64, WalletEvent) {
    let text = format!(
        r#"{{"event":"transfer-request-expired","request_id":"{request_id}","sign_by_ms":"7","tx_hash":"0x",
            "valid_until_block":9}}"#
    );
    (position, serde_json::from_str(&text).unwrap())
}

#[test]
fn a_page_leads_each_request_to_its_last_state() {
    let [old, new, whole] = [1, 2, 3].map(Uuid::from_u128);
    let events = [
        requested(20, whole),
        given_up(21, old),
        requested(22, new),
        given_up(23, whole),
        given_up(24, Uuid::from_u128(4)),
    ];
    assert_eq!(requests_before(&events), [old, Uuid::from_u128(4)]);
    let known = HashMap::from([(old, signing(1, 10, 7))]);
    let over = |request_id, position| Process { request_id, state: State::Over, position };
    assert_eq!(follow(known, &events), [over(old, 21), signing(2, 22, 7), over(whole, 23)]);
}
