//! Which outcomes of workers count.

use super::*;
use crate::test_world::refused;

#[test]
fn a_version_is_taken_as_it_was_asked_for_and_otherwise_not() {
    let life = Life::storing();
    let answer = Uuid::from_u128(9);
    for (outcome, code) in [
        (outcome_of(STORE, secret_sealed(2), Some(&sealed(2))), "outcome_invalid"),
        (outcome_of(STORE, secret_sealed(1), Some(&sealed(2))), "outcome_invalid"),
        (outcome_of(STORE, secret_sealed(1), None), "outcome_invalid"),
        (outcome_of(STORE, secret_revealed(), None), "outcome_invalid"),
        (outcome_of(CHANGE, secret_sealed(1), Some(&sealed(1))), "outcome_unexpected"),
    ] {
        assert_eq!(life.rejects(answer, outcome), code);
    }
    let long = SealedKey { ciphertext: Base64(vec![0; 8193]), ..sealed(1) };
    let outcome = outcome_of(STORE, JobResult::SecretSealed { sealed_secret: long.clone() }, Some(&long));
    assert_eq!(life.rejects(answer, outcome), "limit_exceeded");
}

#[test]
fn a_refusal_changes_nothing_and_names_the_state_that_the_worker_saw() {
    let answer = Uuid::from_u128(9);
    let mut first = Life::storing();
    first.step(answer, outcome_of(STORE, refused(), None)).unwrap();
    assert_eq!(first.state.present(), None);
    assert!(first.ask(STORE, SecretCommand::Store(store(1, policy()))).is_ok());
    // A stored version rests on none, a change of readers on the present one.
    let next = Life::stored().and(CHANGE, SecretCommand::Store(store(2, policy())));
    assert_eq!(next.rejects(answer, outcome_of(CHANGE, refused(), Some(&sealed(1)))), "outcome_invalid");
    assert!(next.ask(answer, outcome_of(CHANGE, refused(), None)).is_ok());
    let mut change = Life::stored().and(CHANGE, set_readers());
    assert_eq!(change.rejects(answer, outcome_of(CHANGE, refused(), None)), "outcome_invalid");
    change.step(answer, outcome_of(CHANGE, refused(), Some(&sealed(1)))).unwrap();
    assert_eq!(change.state, Life::stored().state);
    let mut read = Life::read();
    read.step(answer, outcome_of(READ, refused(), Some(&sealed(1)))).unwrap();
    assert_eq!(read.state, Life::stored().state);
}

#[test]
fn a_message_of_a_version_that_was_followed_is_not_taken() {
    let answer = Uuid::from_u128(9);
    let life = Life::read().and(CHANGE, set_readers());
    let revealed = outcome_of(READ, secret_revealed(), Some(&sealed(1)));
    assert!(life.ask(answer, revealed.clone()).is_ok());
    let followed = life.and_outcome(outcome_of(CHANGE, secret_sealed(2), Some(&sealed(2))));
    assert_eq!(followed.rejects(answer, revealed), "outcome_invalid");
    // Nor one that claims the present version: another was asked for.
    let other = outcome_of(READ, secret_revealed(), Some(&sealed(2)));
    assert_eq!(followed.rejects(answer, other), "outcome_invalid");
    assert!(followed.ask(answer, outcome_of(READ, refused(), Some(&sealed(2)))).is_ok());
}

#[test]
fn only_a_registered_workers_own_outcome_counts() {
    let life = Life::read();
    let outcome = outcome_of(READ, secret_revealed(), Some(&sealed(1)));
    let mut unknown = order(id("api-key"), Uuid::from_u128(9), outcome.clone());
    unknown.facts.worker_is_registered = false;
    assert_eq!(life.state.decide(&unknown).unwrap_err().code.code, "worker_unknown");
    let SecretCommand::RecordOutcome(RecordOutcome { mut outcome }) = outcome else { panic!() };
    outcome.result = JobResult::SecretRevealed { document: Base64(vec![]), message: Base64(vec![3; 112]) };
    let altered = SecretCommand::RecordOutcome(RecordOutcome { outcome });
    assert_eq!(life.rejects(Uuid::from_u128(9), altered), "outcome_invalid");
}
