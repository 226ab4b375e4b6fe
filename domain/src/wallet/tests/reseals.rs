//! `reseal-key` and its outcome.

use nsl_schemas::command::wallet::{RecordOutcome, RequestTransfer, ResealKey, WalletCommand};
use nsl_schemas::errors;
use nsl_schemas::event::wallet::{KeyResealRequested, KeyResealed, OutcomeProof, WalletEvent};
use nsl_schemas::outcome::{JobResult, SealedKey, SignedOutcome};
use uuid::Uuid;

use crate::decision::Rejection;
use crate::test_world::{
    CHANGE, Life, TRANSFER, neo_key, outcome_of, policy, refused, request_sha256, sealed, sign, transfer,
};

/// The command that asks.
const RESEAL: Uuid = Uuid::from_u128(60);

fn reseal(sealing_key_id: &str) -> WalletCommand {
    WalletCommand::ResealKey(ResealKey { sealing_key_id: sealing_key_id.into() })
}

/// The key as another sealing key sealed it.
fn resealed(version: u32) -> SealedKey {
    SealedKey { sealing_key_id: "pool-2".into(), ..sealed(version) }
}

fn outcome(sealed_key: SealedKey) -> SignedOutcome {
    let after = sealed_key.clone();
    outcome_of(RESEAL, JobResult::PolicyReplaced { sealed_key }, Some(&after))
}

fn answer(life: &Life, outcome: SignedOutcome) -> Result<Vec<WalletEvent>, Rejection> {
    life.ask(TRANSFER, WalletCommand::RecordOutcome(RecordOutcome { outcome }))
}

#[test]
fn a_key_moves_to_the_sealing_key_that_was_asked_for_under_the_same_policy() {
    let event = KeyResealRequested {
        request_id: RESEAL,
        request_sha256: request_sha256(RESEAL),
        sealing_key_id: "pool-2".into(),
    };
    assert_eq!(Life::open().ask(RESEAL, reseal("pool-2")), Ok(vec![event.into()]));
    let resealing = Life::open().and(RESEAL, reseal("pool-2"));
    assert_eq!(resealing.wallet().signing_state(), Some((&sealed(1), &policy())));
    let proof = OutcomeProof::from(&outcome(resealed(2)));
    let event = KeyResealed { request_id: RESEAL, sealed_key: resealed(2), outcome: proof };
    assert_eq!(answer(&resealing, outcome(resealed(2))), Ok(vec![event.into()]));
    let done = resealing.and_outcome(outcome(resealed(2)));
    assert_eq!(done.wallet().signing_state(), Some((&resealed(2), &policy())));
    assert_eq!(done.replayed(), *done.wallet());
    assert_eq!(answer(&done, outcome(resealed(2))).unwrap_err().code, errors::OUTCOME_UNEXPECTED);
}

#[test]
fn a_key_is_not_asked_for_twice_at_a_time_nor_for_what_it_is() {
    let code = |life: &Life, key: &str| life.ask(CHANGE, reseal(key)).unwrap_err().code;
    assert_eq!(code(&Life::open(), "pool-1"), errors::KEY_SEALED_ALREADY);
    assert_eq!(code(&Life::open(), &"x".repeat(65)), errors::LIMIT_EXCEEDED);
    let resealing = Life::open().and(RESEAL, reseal("pool-2"));
    assert_eq!(code(&resealing, "pool-3"), errors::KEY_RESEAL_PENDING);
    assert_eq!(code(&Life::creating(), "pool-2"), errors::WALLET_NOT_OPEN);
    let refused = resealing.and_outcome(outcome_of(RESEAL, refused(), Some(&sealed(1))));
    assert_eq!(refused.wallet(), Life::open().wallet());
}

#[test]
fn only_the_next_version_by_the_sealing_key_that_was_asked_for_is_taken() {
    let resealing = Life::open().and(RESEAL, reseal("pool-2"));
    let signed = sign(&neo_key(), RESEAL, &transfer());
    for wrong in [
        outcome(resealed(1)),
        outcome(resealed(3)),
        outcome(sealed(2)),
        outcome_of(RESEAL, JobResult::PolicyReplaced { sealed_key: resealed(2) }, Some(&sealed(1))),
        outcome_of(RESEAL, refused(), Some(&resealed(2))),
        outcome_of(RESEAL, signed, Some(&sealed(1))),
    ] {
        assert_eq!(answer(&resealing, wrong).unwrap_err().code, errors::OUTCOME_INVALID);
    }
}

#[test]
fn a_wallet_signs_while_its_key_is_sealed_anew_and_the_open_transfer_is_signed_after() {
    let transfer: RequestTransfer = transfer();
    let busy = Life::requested().and(RESEAL, reseal("pool-2"));
    let signed = |after: SealedKey| outcome_of(TRANSFER, sign(&neo_key(), TRANSFER, &transfer), Some(&after));
    assert!(answer(&busy, signed(sealed(1))).is_ok());
    let done = busy.and_outcome(outcome(resealed(2)));
    // A worker that still had the key as it was before is asked again with the one in force.
    assert_eq!(answer(&done, signed(sealed(1))).unwrap_err().code, errors::OUTCOME_INVALID);
    assert!(answer(&done, signed(resealed(2))).is_ok());
}
