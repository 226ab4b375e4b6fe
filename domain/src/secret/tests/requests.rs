//! What clients, owners and readers may ask.

use nsl_schemas::bytes::{Base64, Sha256};
use nsl_schemas::event::secret::{EndCause, RequestEnded};
use nsl_schemas::number::UnixMs;
use nsl_schemas::secret::READING_MS_MAX;

use super::*;
use crate::secret::OPEN_READINGS_MAX;
use crate::test_world::{Alter, SIGNING_MS, key};

#[test]
fn a_secret_is_stored_read_given_to_others_and_destroyed() {
    let mut life = Life::stored();
    assert_eq!(life.state.present().unwrap().policy, policy());
    let asked = life.step(READ, reveal()).unwrap();
    let [SecretEvent::RevealRequested(asked)] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!(asked.answer_by_ms, UnixMs(NOW_MS + 60_000), "the reading ends before the worker's time");
    let revealed = life.step(Uuid::from_u128(9), outcome_of(READ, secret_revealed(), Some(&sealed(1))));
    assert!(matches!(&revealed.unwrap()[..], [SecretEvent::Revealed(_)]));
    life.step(CHANGE, set_readers()).unwrap();
    life.step(Uuid::from_u128(10), outcome_of(CHANGE, secret_sealed(2), Some(&sealed(2)))).unwrap();
    assert_eq!(life.state.present().unwrap().policy, next_policy());
    assert_eq!(life.rejects(READ, reveal()), "secret_version_mismatch");
    life.step(DESTROY, destroy()).unwrap();
    assert_eq!(life.state.present(), None);
    assert_eq!(life.replayed(), life.state);
}

#[test]
fn versions_follow_one_another_under_the_policy_in_force() {
    let stored = Life::stored();
    let next = Uuid::from_u128(5);
    for (version, policy, code) in [
        (1, policy(), "secret_version_mismatch"),
        (3, policy(), "secret_version_mismatch"),
        (2, next_policy(), "secret_policy_mismatch"),
    ] {
        assert_eq!(stored.rejects(next, SecretCommand::Store(store(version, policy))), code);
    }
    let again = stored.and(next, SecretCommand::Store(store(2, policy())));
    let another = SecretCommand::Store(store(3, policy()));
    assert_eq!(again.rejects(Uuid::from_u128(6), another), "secret_change_pending");
    assert_eq!(again.rejects(CHANGE, set_readers()), "secret_change_pending");
    // Meanwhile the present version is read.
    assert!(again.ask(READ, reveal()).is_ok());
    assert_eq!(
        Life::default().rejects(STORE, SecretCommand::Store(store(2, policy()))),
        "secret_version_mismatch"
    );
}

#[test]
fn only_padded_ciphertexts_and_policies_that_can_be_followed_are_taken() {
    let cases: [(Alter<Store>, &str); 5] = [
        (|store| store.content.message.0.truncate(store.content.message.0.len() - 1), "secret_invalid"),
        (|store| store.content.message = Base64(vec![]), "secret_invalid"),
        (|store| store.content.sealing_key_id = "0".repeat(65), "secret_invalid"),
        (|store| store.policy.readers.keys.clear(), "secret_policy_invalid"),
        (|store| store.policy.owners.threshold = 4, "secret_policy_invalid"),
    ];
    for (alter, code) in cases {
        let mut altered = store(1, policy());
        alter(&mut altered);
        assert_eq!(Life::default().rejects(STORE, SecretCommand::Store(altered)), code);
    }
}

#[test]
fn owners_alone_change_readers_each_change_once() {
    let stored = Life::stored();
    let cases: [(Alter<ReadersChange>, &[u8], &str); 8] = [
        (|_| {}, &[11], "secret_not_approved"),
        (|_| {}, &[21, 22], "secret_not_approved"),
        (|change| change.secret = id("other"), &[11, 12], "secret_not_approved"),
        (|change| change.tenant = nsl_schemas::token::Tenant::system(), &[11, 12], "secret_not_approved"),
        (|change| change.genesis_sha256 = Sha256([0; 32]), &[11, 12], "secret_not_approved"),
        (|change| change.version = 3, &[11, 12], "secret_version_mismatch"),
        (|change| change.previous_sha256 = Sha256([0; 32]), &[11, 12], "secret_policy_mismatch"),
        (|change| change.policy.readers.threshold = 0, &[11, 12], "secret_policy_invalid"),
    ];
    for (alter, owners, code) in cases {
        let mut altered = change();
        alter(&mut altered);
        let keys: Vec<_> = owners.iter().map(|owner| key(*owner)).collect();
        let change = Signed::sign(altered, &keys.iter().collect::<Vec<_>>());
        assert_eq!(stored.rejects(CHANGE, SecretCommand::SetReaders(SetReaders { change })), code);
    }
    let changed =
        stored.and(CHANGE, set_readers()).and_outcome(outcome_of(CHANGE, secret_sealed(2), Some(&sealed(2))));
    assert_eq!(changed.rejects(Uuid::from_u128(6), set_readers()), "secret_version_mismatch");
}

#[test]
fn readers_alone_read_one_version_by_one_command_for_a_while() {
    let stored = Life::stored();
    let cases: [(Alter<SecretReading>, &[u8], &str); 10] = [
        (|_| {}, &[23], "secret_reading_denied"),
        (|_| {}, &[11, 12, 13], "secret_reading_denied"),
        (|_| {}, &[], "secret_reading_denied"),
        (|reading| reading.secret = id("other"), &[21], "secret_reading_denied"),
        (|reading| reading.genesis_sha256 = Sha256([0; 32]), &[21], "secret_reading_denied"),
        (|reading| reading.request_id = STORE, &[21], "secret_reading_denied"),
        (|reading| reading.expires_at_ms = NOW_MS, &[21], "secret_reading_denied"),
        (|reading| reading.expires_at_ms = NOW_MS + READING_MS_MAX + 1, &[21], "secret_reading_denied"),
        (|reading| reading.version = 2, &[21], "secret_version_mismatch"),
        (|reading| reading.policy_sha256 = next_policy().sha256(), &[21], "secret_policy_mismatch"),
    ];
    for (index, (alter, readers, code)) in cases.into_iter().enumerate() {
        let mut altered = reading(READ);
        alter(&mut altered);
        assert_eq!(stored.rejects(READ, reveal_as(altered, readers)), code, "{index}");
    }
    // Signed, then altered.
    let SecretCommand::Reveal(mut forged) = reveal() else { panic!() };
    forged.reading.statement.recipient = HpkeKey([8; 32]);
    assert_eq!(stored.rejects(READ, SecretCommand::Reveal(forged)), "secret_reading_denied");
}

#[test]
fn open_readings_are_bounded() {
    let mut life = Life::stored();
    for number in 0..OPEN_READINGS_MAX as u128 {
        let request = Uuid::from_u128(100 + number);
        life.step(request, reveal_as(reading(request), &[22])).unwrap();
    }
    assert_eq!(life.rejects(READ, reveal()), "too_many_open_readings");
    life.step(Uuid::from_u128(9), outcome_of(Uuid::from_u128(100), secret_revealed(), Some(&sealed(1))))
        .unwrap();
    assert!(life.ask(READ, reveal()).is_ok());
}

#[test]
fn what_no_worker_answers_in_time_ends_and_is_asked_anew() {
    let expire =
        |request_id| SecretCommand::ExpireRequest(nsl_schemas::command::secret::ExpireRequest { request_id });
    let mut life = Life::storing();
    assert_eq!(life.rejects(CHANGE, expire(STORE)), "deadline_not_passed");
    assert_eq!(life.rejects(CHANGE, expire(READ)), "secret_request_unknown");
    let ended = life.step_at(NOW_MS + SIGNING_MS, CHANGE, expire(STORE)).unwrap();
    assert_eq!(ended, [RequestEnded { cause: EndCause::Expired, request_id: STORE }.into()]);
    let late = outcome_of(STORE, secret_sealed(1), Some(&sealed(1)));
    assert_eq!(life.rejects(CHANGE, late), "outcome_unexpected");
    assert_eq!(life.rejects(READ, reveal()), "secret_not_stored");
    // Nothing is in force, so anybody with a grant may say who owns it.
    assert!(life.ask(STORE, SecretCommand::Store(store(1, next_policy()))).is_ok());
    let mut read = Life::read();
    read.step_at(NOW_MS + 60_000, CHANGE, expire(READ)).unwrap();
    let late = outcome_of(READ, secret_revealed(), Some(&sealed(1)));
    assert_eq!(read.rejects(CHANGE, late), "outcome_unexpected");
}

#[test]
fn owners_end_a_secret_with_all_that_waits() {
    let stored = Life::stored();
    for (alter, owners) in [
        ((|_| {}) as Alter<SecretDestruction>, &[11_u8][..]),
        (|_| {}, &[21, 22]),
        (|destruction| destruction.secret = id("other"), &[11, 12]),
        (|destruction| destruction.genesis_sha256 = Sha256([0; 32]), &[11, 12]),
    ] {
        let mut altered = destruction();
        alter(&mut altered);
        let keys: Vec<_> = owners.iter().map(|owner| key(*owner)).collect();
        let destruction = Signed::sign(altered, &keys.iter().collect::<Vec<_>>());
        let refused = stored.rejects(DESTROY, SecretCommand::Destroy(Destroy { destruction }));
        assert_eq!(refused, "secret_not_approved");
    }
    let mut life = Life::read().and(CHANGE, set_readers());
    let events = life.step(DESTROY, destroy()).unwrap();
    let ended = |request_id| RequestEnded { cause: EndCause::Destroyed, request_id }.into();
    assert_eq!(events[..2], [ended(CHANGE), ended(READ)]);
    assert!(matches!(&events[2..], [SecretEvent::Destroyed(_)]));
    assert_eq!(life.state.present(), None);
    let commands = [SecretCommand::Store(store(1, policy())), set_readers(), reveal(), destroy()];
    for command in commands {
        assert_eq!(life.rejects(Uuid::from_u128(7), command), "secret_destroyed");
    }
    for late in [
        outcome_of(READ, secret_revealed(), Some(&sealed(1))),
        outcome_of(CHANGE, secret_sealed(2), Some(&sealed(2))),
    ] {
        assert_eq!(life.rejects(Uuid::from_u128(8), late), "outcome_unexpected");
    }
    let kept = serde_json::to_string(&life.state).unwrap();
    assert_eq!(kept, r#"{"phase":"Destroyed"}"#, "nothing of the secret is kept");
}
