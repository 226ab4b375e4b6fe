//! `record-outcome` for a wallet's creation, with the checks that every outcome passes.

use nsl_schemas::bytes::{Base64, Sha256};
use nsl_schemas::command::wallet::{Create, RecordOutcome, WalletCommand};
use nsl_schemas::errors::{self, ErrorCode};
use nsl_schemas::event::wallet::{CreationRefused, KeyCreated, OutcomeProof, Refusal, WalletEvent};
use nsl_schemas::ids;
use nsl_schemas::outcome::{BirthStatement, JobResult, SignedOutcome};
use nsl_schemas::token::Tenant;

use crate::decision::Rejection;
use crate::test_world::{
    Alter, CHANGE, CREATE, Life, TRANSFER, birth, id, key, next_policy, order, outcome_of, policy, refused,
    request_sha256, sealed, worker_key,
};

fn created() -> JobResult {
    JobResult::KeyCreated { sealed_key: sealed(1), birth_certificate: birth() }
}

fn record(outcome: SignedOutcome) -> WalletCommand {
    WalletCommand::RecordOutcome(RecordOutcome { outcome })
}

fn answer(life: &Life, outcome: SignedOutcome) -> Result<Vec<WalletEvent>, Rejection> {
    life.ask(TRANSFER, record(outcome))
}

#[test]
fn a_wallet_opens_with_the_key_that_its_certificate_names() {
    let outcome = outcome_of(CREATE, created(), Some(&sealed(1)));
    let event = KeyCreated {
        request_id: CREATE,
        public_key: "02028a99826edc0c97d18e22b6932373d908d323aa7f92656a77ec26e8861699ef".into(),
        address: "NPTmAHDxo6Pkyic8Nvu3kwyXoYJCvcCB6i".into(),
        sealed_key: sealed(1),
        birth_certificate: birth(),
        outcome: OutcomeProof::from(&outcome),
    };
    assert_eq!(answer(&Life::creating(), outcome), Ok(vec![event.into()]));
    assert_eq!(Life::creating().wallet().signing_state(), None);
    assert_eq!(Life::open().wallet().signing_state(), Some((&sealed(1), &policy())));
}

#[test]
fn only_a_registered_worker_reports_an_outcome() {
    let mut stranger = order(id("main"), TRANSFER, record(outcome_of(CREATE, created(), Some(&sealed(1)))));
    stranger.facts.worker_is_registered = false;
    assert_eq!(Life::creating().asked(stranger).unwrap_err().code, errors::WORKER_UNKNOWN);
}

#[test]
fn an_outcome_altered_after_its_signature_is_invalid() {
    let alterations: [Alter<SignedOutcome>; 7] = [
        |outcome| outcome.result = refused(),
        |outcome| outcome.statement.job_id = CHANGE,
        |outcome| outcome.statement.request_sha256 = Sha256([0; 32]),
        |outcome| outcome.statement.result_sha256 = Sha256([0; 32]),
        |outcome| outcome.statement.post_state_sha256 = Sha256([0; 32]),
        |outcome| outcome.worker = key(41).public(),
        |outcome| outcome.signature = Base64(outcome.signature.0[..63].to_vec()),
    ];
    for (index, alter) in alterations.into_iter().enumerate() {
        let mut outcome = outcome_of(CREATE, created(), Some(&sealed(1)));
        alter(&mut outcome);
        let rejection = answer(&Life::creating(), outcome).unwrap_err();
        assert_eq!(rejection.code, errors::OUTCOME_INVALID, "alteration {index}");
    }
}

#[test]
fn an_outcome_of_another_job_or_request_is_unexpected() {
    let job_id = ids::job_id(ids::event_id(CREATE, 0));
    let other_request =
        SignedOutcome::sign(&worker_key(), job_id, request_sha256(CHANGE), created(), Some(&sealed(1)));
    let other_event = ids::job_id(ids::event_id(CREATE, 1));
    let other_job =
        SignedOutcome::sign(&worker_key(), other_event, request_sha256(CREATE), created(), Some(&sealed(1)));
    for outcome in [outcome_of(CHANGE, created(), Some(&sealed(1))), other_request, other_job] {
        assert_eq!(answer(&Life::creating(), outcome).unwrap_err().code, errors::OUTCOME_UNEXPECTED);
    }
}

#[test]
fn a_creation_takes_only_results_of_its_kind_with_their_state() {
    let replaced = JobResult::PolicyReplaced { sealed_key: sealed(1) };
    let signed = JobResult::TransferSigned { tx_hash: "0x00".into(), signature: Base64(vec![0; 64]) };
    for (result, after) in [
        (created(), None),
        (created(), Some(sealed(2))),
        (refused(), Some(sealed(1))),
        (replaced, Some(sealed(1))),
        (signed, None),
    ] {
        let outcome = outcome_of(CREATE, result, after.as_ref());
        let rejection = answer(&Life::creating(), outcome.clone()).unwrap_err();
        assert_eq!(rejection.code, errors::OUTCOME_INVALID, "{outcome:?}");
    }
}

#[test]
fn a_certificate_about_anything_else_opens_no_wallet() {
    let alterations: [Alter<BirthStatement>; 9] = [
        |statement| statement.genesis_sha256 = Sha256([0; 32]),
        |statement| statement.tenant = Tenant::parse("other").unwrap(),
        |statement| statement.wallet = id("other"),
        |statement| statement.command_id = CHANGE,
        |statement| statement.policy_sha256 = next_policy(&policy()).sha256(),
        |statement| statement.owners.threshold = 1,
        |statement| statement.owners.keys.truncate(2),
        |statement| statement.public_key = "02".repeat(32),
        |statement| statement.public_key = format!("05{}", "11".repeat(32)),
    ];
    for (index, alter) in alterations.into_iter().enumerate() {
        let mut birth_certificate = birth();
        alter(&mut birth_certificate.statement);
        let result = JobResult::KeyCreated { sealed_key: sealed(1), birth_certificate };
        let rejection = answer(&Life::creating(), outcome_of(CREATE, result, Some(&sealed(1)))).unwrap_err();
        assert_eq!(rejection.code, errors::OUTCOME_INVALID, "alteration {index}");
    }
}

#[test]
fn a_refused_creation_can_be_asked_for_again() {
    let outcome = outcome_of(CREATE, refused(), None);
    let refusal = Refusal {
        code: "worker_policy_denied".into(),
        message: "no".into(),
        outcome: OutcomeProof::from(&outcome),
    };
    let event = CreationRefused { request_id: CREATE, refusal };
    assert_eq!(answer(&Life::creating(), outcome.clone()), Ok(vec![event.into()]));
    let after = Life::creating().and_outcome(outcome);
    assert!(after.ask(CHANGE, WalletCommand::Create(Create { policy: policy() })).is_ok());
}

#[test]
fn the_text_of_a_refusal_is_bounded() {
    let refused = |code: usize, message: usize| {
        let result = JobResult::Refused { code: "c".repeat(code), message: "m".repeat(message) };
        answer(&Life::creating(), outcome_of(CREATE, result, None)).map(drop).map_err(|no| no.code)
    };
    let cases: [(usize, usize, Result<(), ErrorCode>); 3] = [
        (1024, 1024, Ok(())),
        (1025, 0, Err(errors::LIMIT_EXCEEDED)),
        (0, 1025, Err(errors::LIMIT_EXCEEDED)),
    ];
    for (code, message, expected) in cases {
        assert_eq!(refused(code, message), expected, "{code} and {message} bytes");
    }
}

#[test]
fn a_creation_is_answered_once() {
    for (result, after) in [(created(), Some(sealed(1))), (refused(), None)] {
        let outcome = outcome_of(CREATE, result, after.as_ref());
        let answered = Life::creating().and_outcome(outcome.clone());
        assert_eq!(answer(&answered, outcome).unwrap_err().code, errors::OUTCOME_UNEXPECTED);
    }
}

#[test]
fn a_key_begins_with_its_first_version() {
    for version in [0, 2, u32::MAX] {
        let result = JobResult::KeyCreated { sealed_key: sealed(version), birth_certificate: birth() };
        let rejection =
            answer(&Life::creating(), outcome_of(CREATE, result, Some(&sealed(version)))).unwrap_err();
        assert_eq!(rejection.code, errors::OUTCOME_INVALID, "version {version}");
    }
}
