//! Reservations under a policy that counts: one chain in the log whatever workers and hosts do, and no signature without
//! one.

use nsl_policy::{Spend, reserve, transaction};
use nsl_schemas::authority::Signed;
use nsl_schemas::bytes::{Base64, Sha256};
use nsl_schemas::command::wallet::{
    Create, ExpireRequest, RecordOutcome, RequestTransfer, SetPolicy, WalletCommand,
};
use nsl_schemas::errors::{self, ErrorCode};
use nsl_schemas::event::wallet::{TransferReserved, WalletEvent};
use nsl_schemas::ids;
use nsl_schemas::job::EnclaveTask;
use nsl_schemas::number::{Amount, UnixMs};
use nsl_schemas::outcome::{JobResult, SignedOutcome};
use nsl_schemas::policy::{
    AmountWindow, Counters, CountingRules, Policy, PolicyChange, TimeLocks, TransferLock,
};
use nsl_schemas::reservation::{Head, Reservation, SEAL_BYTES, SealedReservation};
use proptest::prelude::*;
use uuid::Uuid;

use crate::process::{self, State};
use crate::test_world::{
    Alter, CHANGE, CREATE, Life, NOW_MS, SIGNING_MS, TRANSFER, acme, birth, genesis, id, key, neo_key,
    outcome_of, policy, refused, request_sha256, sealed, sign, transfer, worker_key,
};
use crate::wallet::{RESERVED_MAX, Wallet};

const WINDOW_MS: u64 = 3_600_000;
/// Any command's id.
const OTHER: Uuid = Uuid::from_u128(60);

/// At most so much GAS within an hour.
fn counting(amount_max: u128) -> Policy {
    let mut policy = policy();
    let window =
        AmountWindow { amount_max: Amount(amount_max), asset: transfer().asset, window_seconds: 3_600 };
    policy.rules.counting = Some(CountingRules { amounts: vec![window], ..CountingRules::default() });
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

fn of_amount(amount: u128) -> RequestTransfer {
    RequestTransfer { amount: Amount(amount), ..transfer() }
}

/// What a worker that is shown `last` answers to the job that reserves for `request`.
fn worker(
    policy: &Policy,
    last: Option<&SealedReservation>,
    request: Uuid,
    transfer: &RequestTransfer,
    now_ms: u64,
) -> JobResult {
    let last = last.map(|last| &last.reservation);
    let before = last.map_or_else(Counters::default, |last| last.counters.clone());
    let spend = Spend { asset: &transfer.asset, amount: transfer.amount.0 };
    let counters = match reserve(policy, &before, &spend, now_ms) {
        Ok(counters) => counters,
        Err(no) => return JobResult::Refused { code: no.code().to_string(), message: no.to_string() },
    };
    let unsigned = transaction::transfer(request, &neo_key().public_key(), transfer).unwrap();
    let head = last.map_or_else(Head::before_first, Reservation::head);
    let reservation = Reservation {
        counters,
        genesis_sha256: genesis().sha256,
        key_version: 1,
        policy_sha256: policy.sha256(),
        previous_sha256: head.sha256,
        request_id: request,
        request_sha256: request_sha256(request),
        reserved_at_ms: now_ms,
        sequence: head.sequence + 1,
        tenant: acme(),
        tx_hash: unsigned.hash().to_string(),
        wallet: id("main"),
    };
    let reservation = SealedReservation { reservation, seal: Base64(vec![7; SEAL_BYTES]) };
    JobResult::TransferReserved { reservation }
}

fn report_of(request: Uuid, result: JobResult, version: u32) -> WalletCommand {
    let job_id = ids::reservation_job_id(ids::event_id(request, 0));
    let after = sealed(version);
    let outcome = SignedOutcome::sign(&worker_key(), job_id, request_sha256(request), result, Some(&after));
    WalletCommand::RecordOutcome(RecordOutcome { outcome })
}

fn report(request: Uuid, result: JobResult) -> WalletCommand {
    report_of(request, result, 1)
}

/// A worker reserves for the transfer after the wallet's last reservation.
fn reserved(life: &Life, request: Uuid, transfer: &RequestTransfer) -> WalletCommand {
    let (_, policy) = life.wallet().signing_state().unwrap();
    report(request, worker(policy, life.wallet().last_reservation(), request, transfer, NOW_MS))
}

fn signed(request: Uuid, transfer: &RequestTransfer) -> WalletCommand {
    let outcome = outcome_of(request, sign(&neo_key(), request, transfer), Some(&sealed(1)));
    WalletCommand::RecordOutcome(RecordOutcome { outcome })
}

fn code(answer: Result<Vec<WalletEvent>, crate::decision::Rejection>) -> Result<(), ErrorCode> {
    answer.map(drop).map_err(|no| no.code)
}

/// Where the events of this life lead a request.
fn state(events: &[WalletEvent]) -> Option<State> {
    events.iter().fold(None, process::react)
}

/// The task of the transfer's job.
fn task(life: &Life) -> EnclaveTask {
    crate::process::job::transfer_task(life.wallet(), TRANSFER).unwrap()
}

#[test]
fn a_transfer_is_reserved_then_signed_by_its_reservation() {
    let policy = counting(150);
    let mut life = open(&policy);
    let requested = life.step(TRANSFER, WalletCommand::RequestTransfer(transfer())).unwrap();
    let (not_before_ms, sign_by_ms) = (None, Some(UnixMs(NOW_MS + SIGNING_MS)));
    assert_eq!(state(&requested), Some(State::Reserving { not_before_ms, sign_by_ms }));
    assert_eq!(life.wallet().reserves_next(NOW_MS), Some(TRANSFER));
    let EnclaveTask::ReserveTransfer { last: None, .. } = task(&life) else { panic!("{:?}", task(&life)) };
    assert_eq!(code(life.ask(OTHER, signed(TRANSFER, &transfer()))), Err(errors::OUTCOME_INVALID));

    let first = reserved(&life, TRANSFER, &transfer());
    let events = life.step(OTHER, first.clone()).unwrap();
    let [WalletEvent::TransferReserved(TransferReserved { request_id: TRANSFER, reservation, .. })] =
        &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!(life.wallet().last_reservation(), Some(reservation));
    assert_eq!(life.wallet().reserves_next(NOW_MS), None);
    assert_eq!(
        state(&[requested, events.clone()].concat()),
        Some(State::Signing { not_before_ms, sign_by_ms })
    );
    let EnclaveTask::SignTransfer { reservation: Some(carried), .. } = task(&life) else { panic!() };
    assert_eq!(carried, *reservation);
    assert_eq!(code(life.ask(OTHER, first)), Err(errors::OUTCOME_UNEXPECTED), "it has one");
    assert_eq!(life.replayed(), *life.wallet());

    life.step(OTHER, signed(TRANSFER, &transfer())).unwrap();
    assert_eq!(
        life.wallet().last_reservation(),
        Some(reservation),
        "taken, whatever becomes of the transfer"
    );
    // The next one counts on from there.
    let next = Uuid::from_u128(70);
    let mut life = life.and(next, WalletCommand::RequestTransfer(transfer()));
    let events = life.step(OTHER, reserved(&life.clone(), next, &transfer())).unwrap();
    let [WalletEvent::TransferRefused(refused)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(refused.refusal.code, "amount_window_exceeded");
}

#[test]
fn of_two_reservations_after_one_the_log_takes_the_first() {
    let policy = counting(1_000);
    let next = Uuid::from_u128(70);
    let mut life = requested(&policy).and(next, WalletCommand::RequestTransfer(transfer()));
    let (one, two) = (reserved(&life, TRANSFER, &transfer()), reserved(&life, next, &transfer()));
    assert_eq!(code(life.step(OTHER, one)), Ok(()));
    assert_eq!(code(life.ask(OTHER, two)), Err(errors::RESERVATION_OUT_OF_TURN));
    assert_eq!(life.wallet().reserves_next(NOW_MS), Some(next));
    let again = reserved(&life, next, &transfer());
    assert_eq!(code(life.step(OTHER, again)), Ok(()));
}

#[test]
fn a_reservation_of_anything_else_is_invalid() {
    let policy = counting(1_000);
    let life = requested(&policy);
    let sound = worker(&policy, None, TRANSFER, &transfer(), NOW_MS);
    let cases: [(&str, Alter<SealedReservation>, ErrorCode); 12] = [
        ("log", |s| s.reservation.genesis_sha256 = Sha256([0; 32]), errors::OUTCOME_INVALID),
        ("tenant", |s| s.reservation.tenant = nsl_schemas::token::Tenant::system(), errors::OUTCOME_INVALID),
        ("wallet", |s| s.reservation.wallet = id("other"), errors::OUTCOME_INVALID),
        ("request", |s| s.reservation.request_id = OTHER, errors::OUTCOME_INVALID),
        ("request's hash", |s| s.reservation.request_sha256 = Sha256([0; 32]), errors::OUTCOME_INVALID),
        ("transaction", |s| s.reservation.tx_hash.push('0'), errors::OUTCOME_INVALID),
        ("policy", |s| s.reservation.policy_sha256 = Sha256([0; 32]), errors::OUTCOME_INVALID),
        ("counters", |s| s.reservation.counters.signatures_in_all = 2, errors::OUTCOME_INVALID),
        ("time", |s| s.reservation.reserved_at_ms += WINDOW_MS, errors::OUTCOME_INVALID),
        ("seal", |s| s.seal.0.truncate(31), errors::OUTCOME_INVALID),
        ("sequence", |s| s.reservation.sequence = 2, errors::RESERVATION_OUT_OF_TURN),
        ("previous", |s| s.reservation.previous_sha256 = Sha256([0; 32]), errors::RESERVATION_OUT_OF_TURN),
    ];
    for (name, alter, expected) in cases {
        let JobResult::TransferReserved { mut reservation } = sound.clone() else { panic!() };
        alter(&mut reservation);
        let altered = report(TRANSFER, JobResult::TransferReserved { reservation });
        assert_eq!(code(life.ask(OTHER, altered)), Err(expected), "{name}");
    }
    assert_eq!(code(life.ask(OTHER, report(TRANSFER, sound.clone()))), Ok(()));
    // As the outcome of the job that signs, and with another key than the one in force.
    let outcome = outcome_of(TRANSFER, sound.clone(), Some(&sealed(1)));
    let as_signature = WalletCommand::RecordOutcome(RecordOutcome { outcome });
    assert_eq!(code(life.ask(OTHER, as_signature)), Err(errors::OUTCOME_INVALID));
    assert_eq!(code(life.ask(OTHER, report_of(TRANSFER, sound, 2))), Err(errors::OUTCOME_INVALID));
    // Where the policy counts nothing, no job reserves.
    let plain = Life::requested();
    let sound = worker(&crate::test_world::policy(), None, TRANSFER, &transfer(), NOW_MS);
    assert_eq!(code(plain.ask(OTHER, report(TRANSFER, sound))), Err(errors::OUTCOME_UNEXPECTED));
}

#[test]
fn what_a_time_lock_holds_back_is_not_reserved() {
    let mut policy = counting(150);
    let lock = TransferLock { delay_seconds: 60, free: vec![] };
    policy.rules.time_locks = Some(TimeLocks { policy_change_seconds: None, transfer: Some(lock) });
    let mut life = requested(&policy);
    let from_ms = NOW_MS + 60_000;
    assert_eq!(
        [from_ms - 1, from_ms].map(|at_ms| life.wallet().reserves_next(at_ms)),
        [None, Some(TRANSFER)]
    );
    let outcome = reserved(&life, TRANSFER, &transfer());
    let early = life.step_at(from_ms - 1, OTHER, outcome.clone());
    assert_eq!(code(early), Err(errors::OUTCOME_UNEXPECTED));
    assert_eq!(code(life.step_at(from_ms, OTHER, outcome)), Ok(()));
}

#[test]
fn few_are_reserved_ahead_and_a_signature_makes_room() {
    let mut life = open(&counting(1_000_000));
    let requests: Vec<Uuid> = (100..).take(RESERVED_MAX + 1).map(Uuid::from_u128).collect();
    for request in &requests {
        life = life.and(*request, WalletCommand::RequestTransfer(transfer()));
    }
    for request in &requests[..RESERVED_MAX] {
        assert_eq!(life.wallet().reserves_next(NOW_MS), Some(*request));
        life = life.clone().and(OTHER, reserved(&life, *request, &transfer()));
    }
    let last = requests[RESERVED_MAX];
    assert_eq!(life.wallet().reserves_next(NOW_MS), None);
    let too_many = life.ask(OTHER, reserved(&life, last, &transfer()));
    assert_eq!(code(too_many), Err(errors::RESERVATION_OUT_OF_TURN));
    let life = life.and(OTHER, signed(requests[3], &transfer()));
    assert_eq!(life.wallet().reserves_next(NOW_MS), Some(last));
    assert_eq!(code(life.ask(OTHER, reserved(&life, last, &transfer()))), Ok(()));
}

/// Goes on with another policy, under which the key is sealed as the second version.
fn under(life: Life, previous: &Policy, next: &Policy) -> Life {
    let (tenant, wallet, policy) = (acme(), id("main"), next.clone());
    let change = PolicyChange { tenant, wallet, previous_sha256: previous.sha256(), policy };
    let change = Signed::sign(change, &[&key(11), &key(12)]);
    let replaced = JobResult::PolicyReplaced { sealed_key: sealed(2) };
    life.and(CHANGE, WalletCommand::SetPolicy(SetPolicy { change })).and_outcome(outcome_of(
        CHANGE,
        replaced,
        Some(&sealed(2)),
    ))
}

#[test]
fn what_a_transfer_needs_follows_from_the_policy_in_force() {
    // Reserved under a policy that was replaced: it is reserved anew, and what was taken stays so.
    let (before, after) = (counting(150), counting(220));
    let life = requested(&before);
    let life = life.clone().and(OTHER, reserved(&life, TRANSFER, &transfer()));
    let life = under(life, &before, &after);
    assert_eq!(life.wallet().reserves_next(NOW_MS), Some(TRANSFER));
    let EnclaveTask::ReserveTransfer { last: Some(last), .. } = task(&life) else { panic!() };
    let again = worker(&after, Some(&last), TRANSFER, &transfer(), NOW_MS);
    let life = life.and(OTHER, report_of(TRANSFER, again, 2));
    assert_eq!(life.wallet().last_reservation().unwrap().reservation.sequence, 2);
    assert!(matches!(task(&life), EnclaveTask::SignTransfer { reservation: Some(_), .. }));

    // Asked for under one that counts nothing.
    let life = under(Life::requested(), &policy(), &after);
    assert_eq!(life.wallet().reserves_next(NOW_MS), Some(TRANSFER));
    assert!(matches!(task(&life), EnclaveTask::ReserveTransfer { last: None, .. }));

    // Reserved, and then signed under one that counts nothing.
    let life = requested(&before);
    let life = life.clone().and(OTHER, reserved(&life, TRANSFER, &transfer()));
    let life = under(life, &before, &policy());
    assert_eq!(life.wallet().reserves_next(NOW_MS), None);
    assert!(matches!(task(&life), EnclaveTask::SignTransfer { reservation: None, .. }));
}

#[test]
fn a_transfer_that_is_refused_its_reservation_is_over() {
    let life = requested(&counting(150));
    let life = life.and(OTHER, report(TRANSFER, refused()));
    assert!(life.wallet() == open(&counting(150)).wallet());
    assert_eq!(code(life.ask(OTHER, report(TRANSFER, refused()))), Err(errors::OUTCOME_UNEXPECTED));
}

/// What clients, workers and a host that remembers everything do next.
#[derive(Debug, Clone)]
enum Step {
    Ask(u128),
    /// A worker reserves for one of the transfers after any reservation that was ever made, or none.
    Reserve(prop::sample::Index, Option<prop::sample::Index>),
    /// A worker reserves for one of them after the log's last.
    ReserveNext(prop::sample::Index),
    Sign(prop::sample::Index),
    GiveUp(prop::sample::Index),
    Wait(u64),
    /// An outcome that was made before is reported again.
    Repeat(prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    let any = || any::<prop::sample::Index>();
    prop_oneof![
        4 => (1..=100_u128).prop_map(Step::Ask),
        4 => (any(), prop::option::weighted(0.8, any())).prop_map(|(request, last)| Step::Reserve(request, last)),
        4 => any().prop_map(Step::ReserveNext),
        3 => any().prop_map(Step::Sign),
        1 => any().prop_map(Step::GiveUp),
        2 => (0..WINDOW_MS).prop_map(Step::Wait),
        2 => any().prop_map(Step::Repeat),
    ]
}

struct World {
    policy: Policy,
    life: Life,
    now_ms: u64,
    requests: Vec<(Uuid, RequestTransfer)>,
    /// All that workers ever made, whether the log took it or not.
    made: Vec<SealedReservation>,
    reported: Vec<WalletCommand>,
    log: Vec<WalletEvent>,
}

impl World {
    fn decide(&mut self, command_id: Uuid, body: WalletCommand) {
        // What the wallet does not await it rejects.
        self.log.extend(self.life.step_at(self.now_ms, command_id, body).unwrap_or_default());
    }

    fn reserve(&mut self, request: usize, last: Option<&SealedReservation>) {
        let (request, transfer) = self.requests[request].clone();
        let result = worker(&self.policy, last, request, &transfer, self.now_ms);
        if let JobResult::TransferReserved { reservation } = &result {
            self.made.push(reservation.clone());
        }
        let report = report(request, result);
        self.reported.push(report.clone());
        self.decide(OTHER, report);
    }

    fn happen(&mut self, step: &Step) {
        let count = self.requests.len();
        match step {
            Step::Ask(amount) => {
                let (request, transfer) = (Uuid::from_u128(500 + count as u128), of_amount(*amount));
                self.requests.push((request, transfer.clone()));
                self.decide(request, WalletCommand::RequestTransfer(transfer));
            }
            Step::Wait(ms) => self.now_ms += ms,
            Step::Repeat(index) if !self.reported.is_empty() => {
                let report = self.reported[index.index(self.reported.len())].clone();
                self.decide(OTHER, report);
            }
            _ if count == 0 => {}
            Step::Reserve(request, last) => {
                let last = last.filter(|_| !self.made.is_empty());
                let last = last.map(|last| self.made[last.index(self.made.len())].clone());
                self.reserve(request.index(count), last.as_ref());
            }
            Step::ReserveNext(request) => {
                let last = self.life.wallet().last_reservation().cloned();
                self.reserve(request.index(count), last.as_ref());
            }
            Step::Sign(request) => {
                let (request, transfer) = self.requests[request.index(count)].clone();
                self.decide(OTHER, signed(request, &transfer));
            }
            Step::GiveUp(request) => {
                let request_id = self.requests[request.index(count)].0;
                self.decide(OTHER, WalletCommand::ExpireRequest(ExpireRequest { request_id }));
            }
            Step::Repeat(_) => {}
        }
    }

    fn chain(&self) -> Vec<&Reservation> {
        self.log
            .iter()
            .filter_map(|event| match event {
                WalletEvent::TransferReserved(event) => Some(&event.reservation.reservation),
                _ => None,
            })
            .collect()
    }

    fn amount_of(&self, request_id: Uuid) -> u128 {
        self.requests.iter().find(|(request, _)| *request == request_id).unwrap().1.amount.0
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever is reserved after whatever, and reported whenever: the log's reservations are one chain, no window of them
    /// holds more than the policy's bound, and nothing is signed that is not reserved.
    #[test]
    fn the_logs_reservations_are_one_chain_that_never_overspends(
        steps in prop::collection::vec(step(), 1..80), amount_max in 100_u128..400,
    ) {
        let policy = counting(amount_max);
        let life = open(&policy);
        let mut world = World {
            policy, life, now_ms: NOW_MS, requests: vec![], made: vec![], reported: vec![], log: vec![],
        };
        for step in &steps {
            world.happen(step);
        }
        let (mut head, mut reserved) = (Head::before_first(), vec![]);
        for one in world.chain() {
            prop_assert!(one.follows(&head), "{} after {}", one.sequence, head.sequence);
            head = one.head();
            reserved.push((one.reserved_at_ms, world.amount_of(one.request_id)));
            let within = reserved.iter().filter(|(at_ms, _)| at_ms + WINDOW_MS >= one.reserved_at_ms);
            let sum: u128 = within.map(|(_, amount)| amount).sum();
            prop_assert!(sum <= amount_max, "{} of {}", sum, amount_max);
        }
        let last = world.life.wallet().last_reservation().map(|last| last.reservation.head());
        prop_assert_eq!(last.unwrap_or_else(Head::before_first), head);
        let mut held = std::collections::BTreeSet::new();
        for event in &world.log {
            match event {
                WalletEvent::TransferReserved(event) => {
                    prop_assert!(held.insert(event.request_id), "two reservations of one transfer");
                }
                WalletEvent::TransferSigned(event) => prop_assert!(held.contains(&event.request_id)),
                _ => {}
            }
        }
        prop_assert_eq!(world.life.replayed(), world.life.wallet().clone());
        let text = serde_json::to_string(world.life.wallet()).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Wallet>(&text).unwrap(), world.life.wallet());
    }
}
