//! `record-outcome` for a transfer.

use nsl_neo::{Hash256, Transaction};
use nsl_schemas::bytes::Base64;
use nsl_schemas::command::wallet::{RecordOutcome, RequestTransfer, WalletCommand};
use nsl_schemas::errors;
use nsl_schemas::event::wallet::{OutcomeProof, Refusal, TransferRefused, WalletEvent};
use nsl_schemas::number::Amount;
use nsl_schemas::outcome::{JobResult, SignedOutcome};

use crate::decision::Rejection;
use crate::test_world::{
    CHANGE, CREATE, Life, TRANSFER, birth, neo_key, outcome_of, refused, sealed, sign, transfer,
};

/// A published test key that is not the wallet's.
const OTHER_WIF: &str = "KyKvWLZsNwBJx5j9nurHYRwhYfdQUu9tTEDsLCUHDbYBL8cHxMiG";

fn signed() -> JobResult {
    sign(&neo_key(), TRANSFER, &transfer())
}

fn answer(life: &Life, outcome: SignedOutcome) -> Result<Vec<WalletEvent>, Rejection> {
    life.ask(CREATE, WalletCommand::RecordOutcome(RecordOutcome { outcome }))
}

#[test]
fn a_signed_transfer_carries_the_exact_bytes_to_send() {
    let outcome = outcome_of(TRANSFER, signed(), Some(&sealed(1)));
    let events = answer(&Life::requested(), outcome.clone()).unwrap();
    let [WalletEvent::TransferSigned(event)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(event.request_id, TRANSFER);
    assert_eq!(event.valid_until_block, transfer().valid_until_block);
    assert_eq!(event.outcome, OutcomeProof::from(&outcome));
    let sent = Transaction::from_bytes(&event.transaction.0).unwrap();
    assert_eq!(event.tx_hash.parse::<Hash256>().unwrap(), sent.hash());
    assert_eq!(sent.witnesses().len(), 1);
}

#[test]
fn a_transfer_takes_only_the_wallets_signature_over_its_own_transaction() {
    let JobResult::TransferSigned { tx_hash, signature } = signed() else {
        unreachable!("sign makes a signed transfer")
    };
    let with = |signature| JobResult::TransferSigned { tx_hash: tx_hash.clone(), signature };
    let mut flipped = signature.0.clone();
    flipped[63] ^= 1;
    let other_key = nsl_neo::wif::decode(OTHER_WIF).unwrap();
    let other_amount = RequestTransfer { amount: Amount(99), ..transfer() };
    let JobResult::TransferSigned { signature: over_another, .. } = sign(&neo_key(), TRANSFER, &other_amount)
    else {
        unreachable!("sign makes a signed transfer")
    };
    let other_network = RequestTransfer { network_magic: 1, ..transfer() };
    for (name, result) in [
        ("flipped bit", with(Base64(flipped))),
        ("63 bytes", with(Base64(signature.0[..63].to_vec()))),
        ("no bytes", with(Base64(vec![]))),
        ("another key", sign(&other_key, TRANSFER, &transfer())),
        ("another transfer", sign(&neo_key(), TRANSFER, &other_amount)),
        ("another transfer's signature", with(over_another)),
        ("another command", sign(&neo_key(), CHANGE, &transfer())),
        ("another network", sign(&neo_key(), TRANSFER, &other_network)),
        ("another hash", JobResult::TransferSigned { tx_hash: "0x00".into(), signature: signature.clone() }),
        ("a created key", JobResult::KeyCreated { sealed_key: sealed(1), birth_certificate: birth() }),
        ("a replaced policy", JobResult::PolicyReplaced { sealed_key: sealed(1) }),
    ] {
        let rejection =
            answer(&Life::requested(), outcome_of(TRANSFER, result, Some(&sealed(1)))).unwrap_err();
        assert_eq!(rejection.code, errors::OUTCOME_INVALID, "{name}");
    }
}

#[test]
fn a_refused_transfer_is_over() {
    let outcome = outcome_of(TRANSFER, refused(), Some(&sealed(1)));
    let refusal = Refusal {
        code: "worker_policy_denied".into(),
        message: "no".into(),
        outcome: OutcomeProof::from(&outcome),
    };
    let event = TransferRefused { request_id: TRANSFER, refusal };
    assert_eq!(answer(&Life::requested(), outcome.clone()), Ok(vec![event.into()]));
    assert_eq!(Life::requested().and_outcome(outcome).wallet(), Life::open().wallet());
}

#[test]
fn a_transfer_is_answered_once() {
    let again = answer(&Life::signed(), outcome_of(TRANSFER, signed(), Some(&sealed(1))));
    assert_eq!(again.unwrap_err().code, errors::OUTCOME_UNEXPECTED);
    let never_asked = answer(&Life::open(), outcome_of(TRANSFER, signed(), Some(&sealed(1))));
    assert_eq!(never_asked.unwrap_err().code, errors::OUTCOME_UNEXPECTED);
}

#[test]
fn a_transfer_rests_on_the_key_in_force_when_it_is_recorded() {
    let replaced = JobResult::PolicyReplaced { sealed_key: sealed(2) };
    let changed =
        Life::requested().and_changing().and_outcome(outcome_of(CHANGE, replaced, Some(&sealed(2))));
    for result in [signed(), refused()] {
        let before = answer(&changed, outcome_of(TRANSFER, result.clone(), Some(&sealed(1))));
        assert_eq!(before.unwrap_err().code, errors::OUTCOME_INVALID);
        assert!(answer(&changed, outcome_of(TRANSFER, result, Some(&sealed(2)))).is_ok());
    }
}
