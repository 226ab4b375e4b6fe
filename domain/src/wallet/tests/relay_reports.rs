//! `record-confirmation` and `record-expiry`.

use nsl_schemas::command::wallet::{RecordConfirmation, RecordExpiry, VmState, WalletCommand};
use nsl_schemas::errors::{self, ErrorCode};
use nsl_schemas::event::wallet::{TransferConfirmed, TransferExpired};
use nsl_schemas::number::Datoshi;
use nsl_schemas::outcome::JobResult;
use uuid::Uuid;

use crate::test_world::{CHANGE, CREATE, Life, TRANSFER, neo_key, sign, transfer};

fn tx_hash() -> String {
    match sign(&neo_key(), TRANSFER, &transfer()) {
        JobResult::TransferSigned { tx_hash, .. } => tx_hash,
        other => unreachable!("sign makes a signed transfer, not {other:?}"),
    }
}

fn confirmation() -> RecordConfirmation {
    RecordConfirmation {
        request_id: TRANSFER,
        tx_hash: tx_hash(),
        block_index: 4_999,
        block_hash: format!("0x{}", "1".repeat(64)),
        vm_state: VmState::Fault,
        exception: Some("out of gas".into()),
        gas_consumed_datoshi: Datoshi(599),
    }
}

fn expiry() -> RecordExpiry {
    RecordExpiry {
        request_id: TRANSFER,
        tx_hash: tx_hash(),
        block_index: 5_001,
        reason: Some("expired".into()),
    }
}

fn confirm(command: RecordConfirmation) -> WalletCommand {
    WalletCommand::RecordConfirmation(command)
}

fn expire(command: RecordExpiry) -> WalletCommand {
    WalletCommand::RecordExpiry(command)
}

#[test]
fn a_confirmation_keeps_all_that_the_chain_said_and_ends_the_transfer() {
    let event = TransferConfirmed {
        request_id: TRANSFER,
        tx_hash: tx_hash(),
        block_index: 4_999,
        block_hash: format!("0x{}", "1".repeat(64)),
        vm_state: VmState::Fault,
        exception: Some("out of gas".into()),
        gas_consumed_datoshi: Datoshi(599),
    };
    assert_eq!(Life::signed().ask(CREATE, confirm(confirmation())), Ok(vec![event.into()]));
    assert_eq!(Life::signed().and(CREATE, confirm(confirmation())).wallet(), Life::open().wallet());
}

#[test]
fn an_expiry_ends_the_transfer() {
    let event = TransferExpired {
        request_id: TRANSFER,
        tx_hash: tx_hash(),
        block_index: 5_001,
        reason: Some("expired".into()),
    };
    assert_eq!(Life::signed().ask(CREATE, expire(expiry())), Ok(vec![event.into()]));
    assert_eq!(Life::signed().and(CREATE, expire(expiry())).wallet(), Life::open().wallet());
}

#[test]
fn a_transfer_expires_only_after_its_last_block() {
    for (block_index, expected) in [
        (0, Err(errors::TRANSFER_INVALID)),
        (5_000, Err(errors::TRANSFER_INVALID)),
        (5_001, Ok(())),
        (u32::MAX, Ok(())),
    ] {
        let answer = Life::signed().ask(CREATE, expire(RecordExpiry { block_index, ..expiry() }));
        assert_eq!(answer.map(drop).map_err(|no| no.code), expected, "block {block_index}");
    }
}

#[test]
fn the_relay_speaks_only_of_signed_transfers_by_their_hash() {
    let over = Life::signed().and(CREATE, confirm(confirmation()));
    let cases: [(Life, Uuid, String); 5] = [
        (Life::open(), TRANSFER, tx_hash()),
        (Life::requested(), TRANSFER, tx_hash()),
        (over, TRANSFER, tx_hash()),
        (Life::signed(), CHANGE, tx_hash()),
        (Life::signed(), TRANSFER, tx_hash().to_uppercase()),
    ];
    for (life, request_id, tx_hash) in cases {
        let command = confirm(RecordConfirmation { request_id, tx_hash: tx_hash.clone(), ..confirmation() });
        assert_eq!(life.ask(CREATE, command).unwrap_err().code, errors::TRANSFER_UNKNOWN, "{life:?}");
        let command = expire(RecordExpiry { request_id, tx_hash, block_index: 0, ..expiry() });
        assert_eq!(life.ask(CREATE, command).unwrap_err().code, errors::TRANSFER_UNKNOWN, "{life:?}");
    }
}

#[test]
fn the_text_of_a_report_is_bounded() {
    let cases: [(Option<usize>, Result<(), ErrorCode>); 3] =
        [(None, Ok(())), (Some(1024), Ok(())), (Some(1025), Err(errors::LIMIT_EXCEEDED))];
    for (bytes, expected) in cases {
        let text = || bytes.map(|count| "x".repeat(count));
        let confirmed = confirm(RecordConfirmation { exception: text(), ..confirmation() });
        let answer = Life::signed().ask(CREATE, confirmed);
        assert_eq!(answer.map(drop).map_err(|no| no.code), expected, "{bytes:?}");
        let expired = expire(RecordExpiry { reason: text(), ..expiry() });
        let answer = Life::signed().ask(CREATE, expired);
        assert_eq!(answer.map(drop).map_err(|no| no.code), expected, "{bytes:?}");
    }
}
