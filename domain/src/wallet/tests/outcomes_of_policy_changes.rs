//! `record-outcome` for a change of policy.

use nsl_schemas::authority::Signed;
use nsl_schemas::bytes::Base64;
use nsl_schemas::command::wallet::{RecordOutcome, SetPolicy, WalletCommand};
use nsl_schemas::errors;
use nsl_schemas::event::wallet::{OutcomeProof, PolicyChangeRefused, PolicyChanged, Refusal, WalletEvent};
use nsl_schemas::outcome::{JobResult, SignedOutcome};

use crate::decision::Rejection;
use crate::test_world::{
    CHANGE, CREATE, Life, TRANSFER, birth, key, next_policy, outcome_of, policy, policy_change, refused,
    sealed,
};

fn changing() -> Life {
    Life::open().and_changing()
}

fn replaced(version: u32) -> JobResult {
    JobResult::PolicyReplaced { sealed_key: sealed(version) }
}

fn answer(life: &Life, outcome: SignedOutcome) -> Result<Vec<WalletEvent>, Rejection> {
    life.ask(TRANSFER, WalletCommand::RecordOutcome(RecordOutcome { outcome }))
}

#[test]
fn a_policy_begins_with_the_key_that_is_sealed_under_it() {
    let outcome = outcome_of(CHANGE, replaced(2), Some(&sealed(2)));
    let event = PolicyChanged {
        request_id: CHANGE,
        policy: next_policy(&policy()),
        sealed_key: sealed(2),
        outcome: OutcomeProof::from(&outcome),
    };
    assert_eq!(answer(&changing(), outcome.clone()), Ok(vec![event.into()]));
    assert_eq!(changing().wallet().signing_state(), Some((&sealed(1), &policy())));
    let changed = changing().and_outcome(outcome);
    assert_eq!(changed.wallet().signing_state(), Some((&sealed(2), &next_policy(&policy()))));
}

#[test]
fn a_refused_change_leaves_the_policy_and_frees_the_place_for_another() {
    let outcome = outcome_of(CHANGE, refused(), Some(&sealed(1)));
    let refusal = Refusal {
        code: "worker_policy_denied".into(),
        message: "no".into(),
        outcome: OutcomeProof::from(&outcome),
    };
    let event = PolicyChangeRefused { request_id: CHANGE, refusal };
    assert_eq!(answer(&changing(), outcome.clone()), Ok(vec![event.into()]));
    let after = changing().and_outcome(outcome);
    assert_eq!(after.wallet(), Life::open().wallet());
    let change = Signed::sign(policy_change(&policy()), &[&key(11), &key(13)]);
    assert!(after.ask(CREATE, WalletCommand::SetPolicy(SetPolicy { change })).is_ok());
}

#[test]
fn a_change_takes_only_the_next_version_of_the_key_and_its_state() {
    let created = JobResult::KeyCreated { sealed_key: sealed(2), birth_certificate: birth() };
    let signed = JobResult::TransferSigned { tx_hash: "0x00".into(), signature: Base64(vec![0; 64]) };
    for (result, after) in [
        (replaced(1), Some(sealed(1))),
        (replaced(3), Some(sealed(3))),
        (replaced(2), Some(sealed(1))),
        (replaced(2), None),
        (refused(), Some(sealed(2))),
        (refused(), None),
        (created, Some(sealed(2))),
        (signed, Some(sealed(1))),
    ] {
        let outcome = outcome_of(CHANGE, result, after.as_ref());
        let rejection = answer(&changing(), outcome.clone()).unwrap_err();
        assert_eq!(rejection.code, errors::OUTCOME_INVALID, "{outcome:?}");
    }
}

#[test]
fn a_signed_change_cannot_be_replayed_after_it_began() {
    let changed = changing().and_outcome(outcome_of(CHANGE, replaced(2), Some(&sealed(2))));
    let change = Signed::sign(policy_change(&policy()), &[&key(11), &key(12)]);
    let rejection = changed.ask(CREATE, WalletCommand::SetPolicy(SetPolicy { change })).unwrap_err();
    assert_eq!(rejection.code, errors::POLICY_PREVIOUS_MISMATCH);
    let repeated = answer(&changed, outcome_of(CHANGE, replaced(2), Some(&sealed(2))));
    assert_eq!(repeated.unwrap_err().code, errors::OUTCOME_UNEXPECTED);
}
