//! Requests that approvals or a time lock hold back: who releases them, who ends them, and what becomes of outcomes that
//! come too early.

use nsl_schemas::authority::Signed;
use nsl_schemas::bytes::Sha256;
use nsl_schemas::command::wallet::{
    ApproveTransfer, CancelRequest, Create, ExpireRequest, RecordOutcome, SetPolicy, WalletCommand,
};
use nsl_schemas::errors::{self, ErrorCode};
use nsl_schemas::event::wallet::{PolicyChangeCancelled, TransferApproved, TransferCancelled, WalletEvent};
use nsl_schemas::number::{Amount, UnixMs};
use nsl_schemas::outcome::JobResult;
use nsl_schemas::policy::{
    ApprovalRule, AssetRule, CountingRules, Policy, PolicyChange, RequestCancellation, TimeLocks,
    TransferApproval, TransferLock,
};
use uuid::Uuid;

use crate::process::{self, State};
use crate::test_world::{
    Alter, CHANGE, CREATE, Life, NOW_MS, SIGNING_MS, TRANSFER, acme, birth, genesis, id, key, neo_key, order,
    outcome_of, policy, quorum, request_sha256, sealed, sign, transfer,
};

const HOUR_MS: u64 = 3_600_000;
const MINUTE_MS: u64 = 60_000;
/// Any command's id.
const OTHER: Uuid = Uuid::from_u128(60);

/// Two of the keys 21, 22 and 23 approve within an hour.
fn approved() -> Policy {
    let mut policy = policy();
    let approvers = quorum(2, &[21, 22, 23]);
    policy.rules.approvals = Some(ApprovalRule { approvers, free: vec![], within_seconds: 3_600 });
    policy
}

/// Transfers wait two hours, changes of policy a minute.
fn locked() -> Policy {
    let mut policy = policy();
    policy.rules.time_locks = Some(TimeLocks {
        policy_change_seconds: Some(60),
        transfer: Some(TransferLock { delay_seconds: 7_200, free: vec![] }),
    });
    policy
}

fn both() -> Policy {
    let mut policy = approved();
    policy.rules.time_locks = locked().rules.time_locks;
    policy
}

fn open(policy: &Policy) -> Life {
    let mut birth_certificate = birth();
    birth_certificate.statement.policy_sha256 = policy.sha256();
    let result = JobResult::KeyCreated { sealed_key: sealed(1), birth_certificate };
    Life::default()
        .and(CREATE, WalletCommand::Create(Create { policy: policy.clone() }))
        .and_outcome(outcome_of(CREATE, result, Some(&sealed(1))))
}

fn requested(policy: &Policy) -> Life {
    open(policy).and(TRANSFER, WalletCommand::RequestTransfer(transfer()))
}

fn statement(policy: &Policy) -> TransferApproval {
    TransferApproval {
        expires_at_ms: NOW_MS + HOUR_MS,
        genesis_sha256: genesis().sha256,
        policy_sha256: policy.sha256(),
        request_id: TRANSFER,
        request_sha256: request_sha256(TRANSFER),
        tenant: acme(),
        transfer: transfer(),
        wallet: id("main"),
    }
}

fn approve_with(statement: TransferApproval, approver: u8) -> WalletCommand {
    WalletCommand::ApproveTransfer(ApproveTransfer { approval: Signed::sign(statement, &[&key(approver)]) })
}

fn approve(policy: &Policy, approver: u8) -> WalletCommand {
    approve_with(statement(policy), approver)
}

fn cancel(request_id: Uuid, owner: u8) -> WalletCommand {
    let statement = RequestCancellation {
        genesis_sha256: genesis().sha256,
        request_id,
        tenant: acme(),
        wallet: id("main"),
    };
    WalletCommand::CancelRequest(CancelRequest { cancellation: Signed::sign(statement, &[&key(owner)]) })
}

fn signature() -> WalletCommand {
    let result = sign(&neo_key(), TRANSFER, &transfer());
    WalletCommand::RecordOutcome(RecordOutcome { outcome: outcome_of(TRANSFER, result, Some(&sealed(1))) })
}

/// The present policy's change to one with another fee bound, by its owners.
fn change(previous: &Policy) -> WalletCommand {
    let mut next = previous.clone();
    next.fee_max_datoshi.0 += 1;
    let statement =
        PolicyChange { tenant: acme(), wallet: id("main"), previous_sha256: previous.sha256(), policy: next };
    WalletCommand::SetPolicy(SetPolicy { change: Signed::sign(statement, &[&key(11), &key(12)]) })
}

fn resealed() -> WalletCommand {
    let result = JobResult::PolicyReplaced { sealed_key: sealed(2) };
    WalletCommand::RecordOutcome(RecordOutcome { outcome: outcome_of(CHANGE, result, Some(&sealed(2))) })
}

/// Where the events of this life lead a request.
fn state(events: &[WalletEvent]) -> Option<State> {
    events.iter().fold(None, process::react)
}

fn code(answer: Result<Vec<WalletEvent>, crate::decision::Rejection>) -> Result<(), ErrorCode> {
    answer.map(drop).map_err(|no| no.code)
}

#[test]
fn a_quorum_of_approvers_releases_the_transfer_and_the_job_carries_their_approvals() {
    let policy = approved();
    let mut life = open(&policy);
    let requested = life.step(TRANSFER, WalletCommand::RequestTransfer(transfer())).unwrap();
    let sign_by_ms = Some(UnixMs(NOW_MS + HOUR_MS + SIGNING_MS));
    assert_eq!(state(&requested), Some(State::AwaitingApprovals { not_before_ms: None, sign_by_ms }));
    assert_eq!(code(life.ask(OTHER, signature())), Err(errors::OUTCOME_UNEXPECTED), "too early");

    let first = life.step(OTHER, approve(&policy, 23)).unwrap();
    let approval = Signed::sign(statement(&policy), &[&key(23)]);
    let expected = TransferApproved { approval, approvals_missing: 1, request_id: TRANSFER, reserves: false };
    assert_eq!(first, vec![expected.into()]);
    assert_eq!(code(life.ask(OTHER, approve(&policy, 23))), Err(errors::APPROVAL_REPEATED));
    assert_eq!(code(life.ask(OTHER, signature())), Err(errors::OUTCOME_UNEXPECTED), "one of two");

    let second = life.step(OTHER, approve(&policy, 21)).unwrap();
    let all = [requested, first, second].concat();
    assert_eq!(state(&all), Some(State::Signing { not_before_ms: None, sign_by_ms }));
    assert_eq!(life.wallet().approvals(TRANSFER).len(), 2);
    assert_eq!(code(life.ask(OTHER, approve(&policy, 22))), Err(errors::APPROVAL_NOT_AWAITED));
    assert_eq!(life.replayed(), *life.wallet());
    assert_eq!(code(life.ask(OTHER, signature())), Ok(()));
}

#[test]
fn what_approvers_release_is_reserved_where_the_policy_counts() {
    let mut policy = approved();
    policy.rules.counting =
        Some(CountingRules { signatures_in_all_max: Some(1), ..CountingRules::default() });
    let mut life = open(&policy);
    let mut events = life.step(TRANSFER, WalletCommand::RequestTransfer(transfer())).unwrap();
    assert!(matches!(state(&events), Some(State::AwaitingApprovals { .. })));
    for approver in [21, 22] {
        assert_eq!(life.wallet().reserves_next(NOW_MS), None, "{approver}");
        events.extend(life.step(OTHER, approve(&policy, approver)).unwrap());
    }
    let sign_by_ms = Some(UnixMs(NOW_MS + HOUR_MS + SIGNING_MS));
    assert_eq!(state(&events), Some(State::Reserving { not_before_ms: None, sign_by_ms }));
    assert_eq!(life.wallet().reserves_next(NOW_MS), Some(TRANSFER));
}

#[test]
fn an_approval_is_rejected_by_the_rule_that_it_breaks() {
    let policy = approved();
    let cases: [(Alter<TransferApproval>, u8, ErrorCode); 8] = [
        (|_| {}, 24, errors::APPROVAL_INVALID),
        (|_| {}, 11, errors::APPROVAL_INVALID),
        (|s| s.expires_at_ms = NOW_MS, 21, errors::APPROVAL_INVALID),
        (|s| s.transfer.amount = Amount(99), 21, errors::APPROVAL_INVALID),
        (|s| s.request_sha256 = Sha256([0; 32]), 21, errors::APPROVAL_INVALID),
        (|s| s.policy_sha256 = Sha256([0; 32]), 21, errors::APPROVAL_INVALID),
        (|s| s.wallet = id("other"), 21, errors::APPROVAL_INVALID),
        (|s| s.request_id = OTHER, 21, errors::APPROVAL_NOT_AWAITED),
    ];
    for (index, (alter, approver, expected)) in cases.into_iter().enumerate() {
        let mut statement = statement(&policy);
        alter(&mut statement);
        let answer = requested(&policy).ask(OTHER, approve_with(statement, approver));
        assert_eq!(code(answer), Err(expected), "case {index}");
    }
}

#[test]
fn what_is_free_is_asked_for_at_once() {
    let mut policy = both();
    let free = vec![AssetRule { asset: transfer().asset, amount_max: Amount(100) }];
    policy.rules.approvals.as_mut().unwrap().free.clone_from(&free);
    policy.rules.time_locks.as_mut().unwrap().transfer.as_mut().unwrap().free = free;
    let events = open(&policy).ask(TRANSFER, WalletCommand::RequestTransfer(transfer())).unwrap();
    let sign_by_ms = Some(UnixMs(NOW_MS + SIGNING_MS));
    assert_eq!(state(&events), Some(State::Signing { not_before_ms: None, sign_by_ms }));
}

#[test]
fn approvals_under_a_policy_that_was_replaced_count_no_more() {
    let policy = approved();
    let mut life = requested(&policy).and(OTHER, approve(&policy, 21)).and(CHANGE, change(&policy));
    life.step(OTHER, resealed()).unwrap();
    let (_, next) = life.wallet().signing_state().unwrap();
    let next = next.clone();
    assert_eq!(code(life.ask(OTHER, approve(&policy, 22))), Err(errors::APPROVAL_INVALID));
    for (approver, missing) in [(22, 1), (21, 0)] {
        let events = life.step(OTHER, approve(&next, approver)).unwrap();
        let [WalletEvent::TransferApproved(event)] = &events[..] else { panic!("{events:?}") };
        assert_eq!(event.approvals_missing, missing, "{approver}");
    }
    assert_eq!(life.wallet().approvals(TRANSFER).len(), 2);
}

#[test]
fn a_transfer_without_its_approvals_expires_at_the_request_s_deadline() {
    let expire = || WalletCommand::ExpireRequest(ExpireRequest { request_id: TRANSFER });
    let mut life = requested(&approved()).and(OTHER, approve(&approved(), 21));
    let deadline_ms = NOW_MS + HOUR_MS + SIGNING_MS;
    let too_early = life.step_at(deadline_ms - 1, OTHER, expire());
    assert_eq!(code(too_early), Err(errors::DEADLINE_NOT_PASSED));
    assert_eq!(code(life.step_at(deadline_ms, OTHER, expire())), Ok(()));
    assert_eq!(code(life.ask(OTHER, approve(&approved(), 22))), Err(errors::APPROVAL_NOT_AWAITED));
}

#[test]
fn a_locked_transfer_is_signed_only_after_its_delay() {
    let mut life = open(&locked());
    let events = life.step(TRANSFER, WalletCommand::RequestTransfer(transfer())).unwrap();
    let from_ms = NOW_MS + 2 * HOUR_MS;
    let state = state(&events).unwrap();
    let sign_by_ms = Some(UnixMs(from_ms + SIGNING_MS));
    assert_eq!(state, State::Signing { not_before_ms: Some(UnixMs(from_ms)), sign_by_ms });
    assert!(state.job_from_ms().is_some_and(|job_from_ms| job_from_ms >= from_ms));
    let mut signed_at = |now_ms| code(life.step_at(now_ms, OTHER, signature()));
    assert_eq!(signed_at(from_ms - 1), Err(errors::OUTCOME_UNEXPECTED));
    assert_eq!(signed_at(from_ms), Ok(()));
}

#[test]
fn dating_back_shortens_no_delay() {
    let asked = crate::decision::Order {
        issued_at_ms: NOW_MS - HOUR_MS,
        ..order(id("main"), TRANSFER, WalletCommand::RequestTransfer(transfer()))
    };
    let events = open(&locked()).asked(asked).unwrap();
    let [WalletEvent::TransferRequested(event)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(event.not_before_ms, Some(UnixMs(NOW_MS + 2 * HOUR_MS)));
}

#[test]
fn a_locked_change_of_policy_waits_and_any_owner_ends_it_meanwhile() {
    let mut life = open(&locked());
    let events = life.step(CHANGE, change(&locked())).unwrap();
    let not_before_ms = Some(UnixMs(NOW_MS + MINUTE_MS));
    assert_eq!(state(&events), Some(State::ReplacingPolicy { not_before_ms }));
    assert_eq!(code(life.ask(OTHER, resealed())), Err(errors::OUTCOME_UNEXPECTED));

    let mut kept = life.clone();
    assert_eq!(
        code(kept.step_at(NOW_MS + MINUTE_MS, OTHER, cancel(CHANGE, 11))),
        Err(errors::REQUEST_NOT_HELD)
    );
    assert_eq!(code(kept.step_at(NOW_MS + MINUTE_MS, OTHER, resealed())), Ok(()));

    let ended = life.step_at(NOW_MS + MINUTE_MS - 1, OTHER, cancel(CHANGE, 13)).unwrap();
    assert!(matches!(&ended[..], [WalletEvent::PolicyChangeCancelled(PolicyChangeCancelled { .. })]));
    assert_eq!(state(&[events, ended].concat()), Some(State::Over));
    assert_eq!(code(life.step_at(NOW_MS + HOUR_MS, OTHER, resealed())), Err(errors::OUTCOME_UNEXPECTED));
    assert_eq!(code(life.ask(OTHER, change(&locked()))), Ok(()), "another may be asked for");
}

#[test]
fn an_owner_ends_a_transfer_that_is_held_back_and_nobody_else_does() {
    for policy in [approved(), locked(), both()] {
        let life = requested(&policy);
        for stranger in [21, 14, 1] {
            let answer = life.ask(OTHER, cancel(TRANSFER, stranger));
            assert_eq!(code(answer), Err(errors::CANCELLATION_INVALID), "{stranger}");
        }
        let events = life.ask(OTHER, cancel(TRANSFER, 12)).unwrap();
        let [WalletEvent::TransferCancelled(TransferCancelled { request_id, .. })] = &events[..] else {
            panic!("{events:?}")
        };
        assert_eq!(*request_id, TRANSFER);
        let ended = life.and(OTHER, cancel(TRANSFER, 12));
        assert_eq!(code(ended.ask(OTHER, cancel(TRANSFER, 12))), Err(errors::REQUEST_NOT_HELD));
        assert_eq!(code(ended.ask(OTHER, signature())), Err(errors::OUTCOME_UNEXPECTED));
    }
    assert_eq!(code(Life::requested().ask(OTHER, cancel(TRANSFER, 11))), Err(errors::REQUEST_NOT_HELD));
}

#[test]
fn a_cancellation_for_another_wallet_or_log_ends_nothing() {
    let alters: [Alter<RequestCancellation>; 3] = [
        |s| s.genesis_sha256 = Sha256([0; 32]),
        |s| s.wallet = id("other"),
        |s| s.tenant = nsl_schemas::token::Tenant::parse("other").unwrap(),
    ];
    for (index, alter) in alters.iter().enumerate() {
        let WalletCommand::CancelRequest(CancelRequest { cancellation }) = cancel(TRANSFER, 11) else {
            panic!()
        };
        let mut statement = cancellation.statement;
        alter(&mut statement);
        let cancellation = Signed::sign(statement, &[&key(11)]);
        let answer =
            requested(&locked()).ask(OTHER, WalletCommand::CancelRequest(CancelRequest { cancellation }));
        assert_eq!(code(answer), Err(errors::CANCELLATION_INVALID), "case {index}");
    }
}
