//! The memory step by step on a real Postgres, with a crash after each.

use std::time::Duration;

use nsl_schemas::authority::Signed;
use nsl_schemas::bytes::Sha256;
use nsl_schemas::command::wallet::RequestTransfer;
use nsl_schemas::event::wallet::{TransferApproved, TransferRequested, WalletEvent};
use nsl_schemas::number::{Amount, Datoshi, UnixMs};
use nsl_schemas::policy::TransferApproval;
use nsl_schemas::token::{AggregateId, Tenant};
use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgPool};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::*;

const RETRY: Duration = Duration::from_secs(30);
const RETRY_MS: u64 = 30_000;
const HOUR: Duration = Duration::from_hours(1);

fn signing(number: u128, position: u64, sign_by_ms: u64) -> Process {
    let state = State::Signing { not_before_ms: None, sign_by_ms: Some(UnixMs(sign_by_ms)) };
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

fn requested(position: u64, request_id: Uuid) -> (u64, ProcessEvent) {
    let text = format!(
        r#"{{"event":"transfer-requested","request_id":"{request_id}","request_sha256":"{}","sign_by_ms":"7",
            "transfer":{{"network_magic":1,"asset":"a","to":"t","amount":"1","system_fee_datoshi":"1",
            "network_fee_datoshi":"1","valid_until_block":9}},"tx_hash":"0x"}}"#,
        "00".repeat(32)
    );
    (position, ProcessEvent::Wallet(serde_json::from_str(&text).unwrap()))
}

fn given_up(position: u64, request_id: Uuid) -> (u64, ProcessEvent) {
    let text = format!(
        r#"{{"event":"transfer-request-expired","request_id":"{request_id}","sign_by_ms":"7","tx_hash":"0x",
            "valid_until_block":9}}"#
    );
    (position, ProcessEvent::Wallet(serde_json::from_str(&text).unwrap()))
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

#[tokio::test]
async fn a_held_job_is_overdue_when_its_lock_has_ended_and_missing_approvals_never() {
    with_memory(async |pool| {
        let held = |number, not_before_ms| Process {
            request_id: Uuid::from_u128(number),
            state: State::Signing { not_before_ms: Some(UnixMs(not_before_ms)), sign_by_ms: None },
            position: 10,
        };
        let (ended, locked, for_ever) =
            (held(1, 1_000), held(2, clock::now_ms() + 3_600_000), held(3, u64::MAX));
        let state = State::AwaitingApprovals { not_before_ms: None, sign_by_ms: Some(UnixMs(5_000)) };
        let awaiting = Process { request_id: Uuid::from_u128(4), state, position: 11 };
        let mut memory = reborn(pool).await;
        memory.record(&[ended, locked, for_ever, awaiting], 12, Some(HOUR)).await.unwrap();
        assert_eq!(memory.take_overdue(HOUR, 9).await.unwrap(), [ended]);
        assert_eq!(memory.take_overdue(HOUR, 9).await.unwrap(), []);
        // A replay makes the same of them.
        memory.record(&[ended, locked, for_ever, awaiting], 12, None).await.unwrap();
        assert_eq!(memory.take_overdue(HOUR, 9).await.unwrap(), [ended]);
        assert_eq!(memory.take_due(u64::MAX, RETRY, 9).await.unwrap(), [awaiting], "the deadline goes on");
    })
    .await;
}

/// What an approver says about a transfer; only what it leads to matters here.
fn approved(request_id: Uuid, approvals_missing: u8) -> ProcessEvent {
    let statement = TransferApproval {
        expires_at_ms: 1,
        genesis_sha256: Sha256([0; 32]),
        policy_sha256: Sha256([0; 32]),
        request_id,
        request_sha256: Sha256([0; 32]),
        tenant: Tenant::system(),
        transfer: transfer(),
        wallet: AggregateId::parse("main").unwrap(),
    };
    let approval = Signed { statement, signatures: vec![] };
    WalletEvent::from(TransferApproved { approval, approvals_missing, request_id, reserves: false }).into()
}

fn transfer() -> RequestTransfer {
    RequestTransfer {
        amount: Amount(1),
        asset: String::new(),
        network_fee_datoshi: Datoshi(1),
        network_magic: 1,
        system_fee_datoshi: Datoshi(1),
        to: String::new(),
        valid_until_block: 1,
    }
}

#[test]
fn the_job_of_an_approved_transfer_is_asked_for_by_its_request() {
    let request_id = Uuid::from_u128(7);
    let requested = TransferRequested {
        approvals_missing: Some(2),
        not_before_ms: None,
        request_id,
        request_sha256: Sha256([0; 32]),
        reserves: false,
        sign_by_ms: None,
        transfer: transfer(),
        tx_hash: String::new(),
    };
    let waits =
        follow(HashMap::new(), &[(10, WalletEvent::from(requested).into()), (12, approved(request_id, 1))]);
    let state = State::AwaitingApprovals { not_before_ms: None, sign_by_ms: None };
    let process = Process { request_id, state, position: 10 };
    assert_eq!(waits, [process]);
    let signing = State::Signing { not_before_ms: None, sign_by_ms: None };
    let released = follow(HashMap::from([(request_id, process)]), &[(15, approved(request_id, 0))]);
    assert_eq!(released, [Process { request_id, state: signing, position: 10 }]);
}
