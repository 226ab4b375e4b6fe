//! `expire-request`.

use nsl_schemas::command::wallet::{ExpireRequest, RecordExpiry, RecordOutcome, WalletCommand};
use nsl_schemas::errors;
use nsl_schemas::event::wallet::{TransferRequestExpired, WalletEvent};
use nsl_schemas::number::UnixMs;
use nsl_schemas::outcome::JobResult;
use uuid::Uuid;

use crate::decision::Order;
use crate::test_world::{
    CHANGE, CREATE, Life, NOW_MS, SIGNING_MS, TRANSFER, id, neo_key, order, outcome_of, sealed, sign,
    transfer,
};
use crate::wallet::{OPEN_TRANSFERS_MAX, Wallet};

const DEADLINE_MS: u64 = NOW_MS + SIGNING_MS;

fn expire(request_id: Uuid) -> WalletCommand {
    WalletCommand::ExpireRequest(ExpireRequest { request_id })
}

fn at(now_ms: u64, request_id: Uuid) -> Order<WalletCommand> {
    Order { now_ms, ..order(id("main"), CREATE, expire(request_id)) }
}

fn expired() -> Life {
    let mut life = Life::requested();
    life.step_at(DEADLINE_MS, CREATE, expire(TRANSFER)).unwrap();
    life
}

fn signature() -> WalletCommand {
    let result = sign(&neo_key(), TRANSFER, &transfer());
    WalletCommand::RecordOutcome(RecordOutcome { outcome: outcome_of(TRANSFER, result, Some(&sealed(1))) })
}

#[test]
fn an_unsigned_request_is_given_up_at_its_deadline_and_not_before() {
    let JobResult::TransferSigned { tx_hash, .. } = sign(&neo_key(), TRANSFER, &transfer()) else {
        unreachable!("sign makes a signed transfer")
    };
    let event = TransferRequestExpired {
        request_id: TRANSFER,
        tx_hash,
        valid_until_block: 5_000,
        sign_by_ms: UnixMs(DEADLINE_MS),
    };
    let life = Life::requested();
    for now_ms in [DEADLINE_MS, DEADLINE_MS + 1, u64::MAX] {
        assert_eq!(life.asked(at(now_ms, TRANSFER)), Ok(vec![event.clone().into()]), "{now_ms}");
    }
    for now_ms in [0, NOW_MS, DEADLINE_MS - 1] {
        let no = life.asked(at(now_ms, TRANSFER)).unwrap_err();
        assert_eq!(no.code, errors::DEADLINE_NOT_PASSED, "{now_ms}");
    }
    assert_eq!(expired().wallet(), Life::open().wallet());
}

#[test]
fn only_a_request_that_awaits_its_signature_is_given_up() {
    for (life, request_id) in [
        (Life::open(), TRANSFER),
        (Life::requested(), CHANGE),
        (Life::signed(), TRANSFER),
        (Life::open().and_changing(), CHANGE),
        (expired(), TRANSFER),
    ] {
        let no = life.asked(at(u64::MAX, request_id)).unwrap_err();
        assert_eq!(no.code, errors::TRANSFER_UNKNOWN, "{life:?}");
    }
}

#[test]
fn a_request_from_before_there_were_deadlines_is_never_given_up() {
    let mut wallet = Life::open().wallet().clone();
    let Ok([WalletEvent::TransferRequested(mut event)]) = Life::open()
        .ask(TRANSFER, WalletCommand::RequestTransfer(transfer()))
        .map(<[_; 1]>::try_from)
        .unwrap()
    else {
        unreachable!("a request has one event")
    };
    event.sign_by_ms = None;
    let text = serde_json::to_string(&WalletEvent::from(event)).unwrap();
    assert!(!text.contains("sign_by_ms"), "as it was written then: {text}");
    wallet.evolve(serde_json::from_str(&text).unwrap());
    assert_eq!(wallet.decide(&at(u64::MAX, TRANSFER)).unwrap_err().code, errors::DEADLINE_NOT_PASSED);
    assert!(wallet.decide(&order(id("main"), CREATE, signature())).is_ok());
}

#[test]
fn a_signature_after_the_request_was_given_up_is_not_taken() {
    assert!(Life::requested().ask(CREATE, signature()).is_ok());
    assert_eq!(expired().ask(CREATE, signature()).unwrap_err().code, errors::OUTCOME_UNEXPECTED);
    let relayed = WalletCommand::RecordExpiry(RecordExpiry {
        request_id: TRANSFER,
        tx_hash: "0x".into(),
        block_index: 9_999,
        reason: None,
    });
    assert_eq!(expired().ask(CREATE, relayed).unwrap_err().code, errors::TRANSFER_UNKNOWN);
}

#[test]
fn giving_up_frees_a_place_among_the_open_transfers() {
    let mut life = Life::open();
    let request = |number: usize| Uuid::from_u128(1_000 + number as u128);
    for number in 0..OPEN_TRANSFERS_MAX {
        life = life.and(request(number), WalletCommand::RequestTransfer(transfer()));
    }
    let one_more = |wallet: &Wallet| {
        let body = WalletCommand::RequestTransfer(transfer());
        wallet.decide(&order(id("main"), TRANSFER, body)).map(drop).map_err(|no| no.code)
    };
    assert_eq!(one_more(life.wallet()), Err(errors::TOO_MANY_OPEN_TRANSFERS));
    life.step_at(DEADLINE_MS, CREATE, expire(request(7))).unwrap();
    assert_eq!(one_more(life.wallet()), Ok(()));
}
