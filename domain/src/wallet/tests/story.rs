//! One wallet from its creation to a transfer in a block, each step by the hosted aggregate.

use cqrs_es::DomainEvent as _;
use cqrs_es::test::TestFramework;
use nsl_neo::{Hash256, Signature, Transaction};
use nsl_schemas::command::wallet::{
    Create, RecordConfirmation, RecordExpiry, RecordOutcome, VmState, WalletCommand,
};
use nsl_schemas::errors;
use nsl_schemas::event::wallet::{CreationRequested, TransferExpired, WalletEvent};
use nsl_schemas::number::Datoshi;
use nsl_schemas::outcome::{JobResult, SignedOutcome};
use uuid::Uuid;

use crate::decision::{Recorded, Rejection};
use crate::test_world::{
    CREATE, TRANSFER, birth, id, neo_key, order, outcome_of, policy, request_sha256, sealed, sign, transfer,
};
use crate::wallet::Wallet;

/// The id of a service's report; reports leave no trace of it in the state.
const REPORT: Uuid = Uuid::from_u128(50);

/// The first bytes of an invocation script: PUSHDATA1 and the signature's length.
const PUSH_SIGNATURE: [u8; 2] = [0x0c, 64];

fn record(outcome: SignedOutcome) -> WalletCommand {
    WalletCommand::RecordOutcome(RecordOutcome { outcome })
}

fn created() -> WalletCommand {
    let result = JobResult::KeyCreated { sealed_key: sealed(1), birth_certificate: birth() };
    record(outcome_of(CREATE, result, Some(&sealed(1))))
}

fn signed() -> WalletCommand {
    record(outcome_of(TRANSFER, sign(&neo_key(), TRANSFER, &transfer()), Some(&sealed(1))))
}

fn confirmed(tx_hash: String) -> WalletCommand {
    WalletCommand::RecordConfirmation(RecordConfirmation {
        request_id: TRANSFER,
        tx_hash,
        block_index: 4_321,
        block_hash: format!("0x{}", "1".repeat(64)),
        vm_state: VmState::Halt,
        exception: None,
        gas_consumed_datoshi: Datoshi(600),
    })
}

/// Decides each command on the events of all before it.
fn told(commands: &[(Uuid, WalletCommand)]) -> Vec<Recorded<WalletEvent>> {
    let mut log: Vec<Recorded<WalletEvent>> = Vec::new();
    for (command_id, body) in commands {
        let order = order(id("main"), *command_id, body.clone());
        let decided = TestFramework::<Wallet>::with(()).given(log.clone()).when(order).inspect_result();
        log.extend(decided.unwrap());
    }
    log
}

fn to_the_signature() -> Vec<(Uuid, WalletCommand)> {
    vec![
        (CREATE, WalletCommand::Create(Create { policy: policy() })),
        (REPORT, created()),
        (TRANSFER, WalletCommand::RequestTransfer(transfer())),
        (REPORT, signed()),
    ]
}

/// The hash of the transaction that the last event holds, after reading it back and judging its signature.
fn proven_hash(log: &[Recorded<WalletEvent>]) -> String {
    let Some(Recorded(WalletEvent::TransferSigned(event))) = log.last() else { panic!("{log:?}") };
    let sent = Transaction::from_bytes(&event.transaction.0).unwrap();
    assert_eq!(event.tx_hash.parse::<Hash256>().unwrap(), sent.hash());
    let [witness] = sent.witnesses() else { panic!("one witness") };
    assert_eq!(witness.invocation[..2], PUSH_SIGNATURE);
    let signature = Signature::from_bytes(witness.invocation[2..].try_into().unwrap());
    let message = sent.unsigned().sign_data(transfer().network_magic);
    assert!(neo_key().public_key().verify(&message, &signature).is_ok());
    event.tx_hash.clone()
}

fn names(log: &[Recorded<WalletEvent>]) -> Vec<String> {
    log.iter().map(cqrs_es::DomainEvent::event_type).collect()
}

#[test]
fn a_wallet_is_born_signs_and_is_confirmed() {
    let hash = proven_hash(&told(&to_the_signature()));
    let commands = [to_the_signature(), vec![(REPORT, confirmed(hash))]].concat();
    let log = told(&commands);
    assert_eq!(
        names(&log),
        ["creation-requested", "key-created", "transfer-requested", "transfer-signed", "transfer-confirmed"]
    );
    let newer =
        log.iter().filter(|event| event.event_version() != "1.0.0").map(cqrs_es::DomainEvent::event_type);
    assert_eq!(newer.collect::<Vec<_>>(), ["creation-requested", "transfer-requested"]);
}

#[test]
fn a_transfer_that_no_block_took_expires() {
    let log = told(&to_the_signature());
    let tx_hash = proven_hash(&log);
    let reason = Some("insufficient funds".to_owned());
    let report = RecordExpiry {
        request_id: TRANSFER,
        tx_hash: tx_hash.clone(),
        block_index: 5_001,
        reason: reason.clone(),
    };
    let event = TransferExpired { request_id: TRANSFER, tx_hash, block_index: 5_001, reason };
    TestFramework::<Wallet>::with(())
        .given(log)
        .when(order(id("main"), REPORT, WalletCommand::RecordExpiry(report)))
        .then_expect_events(vec![Recorded(event.into())]);
}

#[test]
fn a_first_command_needs_no_events() {
    let event =
        CreationRequested { request_id: CREATE, request_sha256: request_sha256(CREATE), policy: policy() };
    TestFramework::<Wallet>::with(())
        .given_no_previous_events()
        .when(order(id("main"), CREATE, WalletCommand::Create(Create { policy: policy() })))
        .then_expect_events(vec![Recorded(event.into())]);
}

#[test]
fn a_second_report_of_the_same_job_is_unexpected() {
    TestFramework::<Wallet>::with(())
        .given(told(&to_the_signature()))
        .when(order(id("main"), REPORT, signed()))
        .then_expect_error(Rejection::new(errors::OUTCOME_UNEXPECTED, "no such job is open"));
}
