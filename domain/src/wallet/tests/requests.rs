//! `create`, `set-policy` and `request-transfer`.

use nsl_schemas::authority::Signed;
use nsl_schemas::command::wallet::{
    Create, ExpireRequest, RecordConfirmation, RecordExpiry, RecordOutcome, RequestTransfer, SetPolicy,
    VmState, WalletCommand,
};
use nsl_schemas::errors::{self, ErrorCode};
use nsl_schemas::event::wallet::{CreationRequested, PolicyChangeRequested, TransferRequested, WalletEvent};
use nsl_schemas::number::{Amount, Datoshi, UnixMs};
use nsl_schemas::policy::{Policy, PolicyChange};
use nsl_schemas::token::Tenant;
use uuid::Uuid;

use crate::test_world::{
    Alter, CHANGE, CREATE, Life, NOW_MS, SIGNING_MS, TRANSFER, id, key, neo_key, next_policy, order,
    outcome_of, policy, policy_change, refused, request_sha256, sealed, transfer,
};
use crate::wallet::OPEN_TRANSFERS_MAX;

/// Makes a change of policy wrong.
type Change<'a> = &'a dyn Fn(&mut PolicyChange);

fn create(policy: Policy) -> WalletCommand {
    WalletCommand::Create(Create { policy })
}

fn set_policy(change: PolicyChange, signers: &[u8]) -> WalletCommand {
    let keys: Vec<_> = signers.iter().map(|number| key(*number)).collect();
    WalletCommand::SetPolicy(SetPolicy { change: Signed::sign(change, &keys.iter().collect::<Vec<_>>()) })
}

fn confirmation() -> WalletCommand {
    WalletCommand::RecordConfirmation(RecordConfirmation {
        request_id: TRANSFER,
        tx_hash: "0x00".into(),
        block_index: 1,
        block_hash: format!("0x{}", "1".repeat(64)),
        vm_state: VmState::Halt,
        exception: None,
        gas_consumed_datoshi: Datoshi(0),
    })
}

fn expiry() -> WalletCommand {
    WalletCommand::RecordExpiry(RecordExpiry {
        request_id: TRANSFER,
        tx_hash: "0x00".into(),
        block_index: 1,
        reason: None,
    })
}

#[test]
fn a_wallet_is_asked_for_under_its_first_policy() {
    let event =
        CreationRequested { request_id: CREATE, request_sha256: request_sha256(CREATE), policy: policy() };
    assert_eq!(Life::default().ask(CREATE, create(policy())), Ok(vec![event.into()]));
}

#[test]
fn a_wallet_is_created_once_and_under_a_sound_policy() {
    let unsound = || Policy { assets: vec![], ..policy() };
    for (life, policy, expected) in [
        (Life::default(), unsound(), errors::POLICY_INVALID),
        (Life::creating(), unsound(), errors::WALLET_EXISTS),
        (Life::creating(), policy(), errors::WALLET_EXISTS),
        (Life::open(), policy(), errors::WALLET_EXISTS),
    ] {
        assert_eq!(life.ask(CHANGE, create(policy)).unwrap_err().code, expected, "{life:?}");
    }
}

#[test]
fn a_wallet_without_a_key_obeys_nothing_but_its_creation() {
    let commands = [
        set_policy(policy_change(&policy()), &[11, 12]),
        WalletCommand::RequestTransfer(transfer()),
        confirmation(),
        expiry(),
        WalletCommand::ExpireRequest(ExpireRequest { request_id: TRANSFER }),
    ];
    for command in commands {
        let absent = Life::default().ask(CHANGE, command.clone()).unwrap_err();
        assert_eq!(absent.code, errors::WALLET_UNKNOWN, "{command:?}");
        let creating = Life::creating().ask(CHANGE, command.clone()).unwrap_err();
        assert_eq!(creating.code, errors::WALLET_NOT_OPEN, "{command:?}");
    }
    let outcome =
        WalletCommand::RecordOutcome(RecordOutcome { outcome: outcome_of(CREATE, refused(), None) });
    assert_eq!(Life::default().ask(CHANGE, outcome).unwrap_err().code, errors::OUTCOME_UNEXPECTED);
}

#[test]
fn a_quorum_of_the_present_owners_asks_for_another_policy() {
    for signers in [&[11, 12][..], &[13, 11], &[11, 12, 13], &[99, 12, 13]] {
        let event = PolicyChangeRequested {
            not_before_ms: None,
            request_id: CHANGE,
            request_sha256: request_sha256(CHANGE),
            policy: next_policy(&policy()),
        };
        let answer = Life::open().ask(CHANGE, set_policy(policy_change(&policy()), signers));
        assert_eq!(answer, Ok(vec![event.into()]), "{signers:?}");
    }
}

#[test]
fn too_few_owners_change_no_policy() {
    for signers in [&[][..], &[11], &[11, 11], &[11, 99], &[98, 99]] {
        let answer = Life::open().ask(CHANGE, set_policy(policy_change(&policy()), signers));
        assert_eq!(answer.unwrap_err().code, errors::POLICY_NOT_APPROVED, "{signers:?}");
    }
}

#[test]
fn the_owners_that_a_change_names_do_not_approve_it() {
    let mut change = policy_change(&policy());
    change.policy.owners.keys = vec![key(21).public(), key(22).public()];
    let answer = Life::open().ask(CHANGE, set_policy(change, &[21, 22]));
    assert_eq!(answer.unwrap_err().code, errors::POLICY_NOT_APPROVED);
}

#[test]
fn a_change_altered_after_its_signatures_is_not_approved() {
    let WalletCommand::SetPolicy(mut command) = set_policy(policy_change(&policy()), &[11, 12]) else {
        unreachable!("set_policy makes a set-policy")
    };
    command.change.statement.policy.fee_max_datoshi = Datoshi(u64::MAX);
    let answer = Life::open().ask(CHANGE, WalletCommand::SetPolicy(command));
    assert_eq!(answer.unwrap_err().code, errors::POLICY_NOT_APPROVED);
}

/// Each case breaks its rule and every rule below it: the answer names the first.
#[test]
fn a_policy_change_is_rejected_by_the_first_rule_that_says_no() {
    let open = Life::open;
    let changing = || Life::open().and_changing();
    let unsound = |change: &mut PolicyChange| change.policy.assets.clear();
    let unchained = |change: &mut PolicyChange| change.previous_sha256 = next_policy(&policy()).sha256();
    let other_tenant: Change<'_> = &|change| {
        change.tenant = Tenant::parse("other").unwrap();
        unchained(change);
        unsound(change);
    };
    let other_wallet: Change<'_> = &|change| {
        change.wallet = id("other");
        unchained(change);
        unsound(change);
    };
    let off_the_chain: Change<'_> = &|change| {
        unchained(change);
        unsound(change);
    };
    let cases: [(Life, Change<'_>, &[u8], ErrorCode); 6] = [
        (changing(), other_tenant, &[11], errors::POLICY_NOT_APPROVED),
        (changing(), other_wallet, &[11], errors::POLICY_NOT_APPROVED),
        (changing(), off_the_chain, &[11], errors::POLICY_CHANGE_PENDING),
        (open(), off_the_chain, &[11], errors::POLICY_PREVIOUS_MISMATCH),
        (open(), &unsound, &[11], errors::POLICY_NOT_APPROVED),
        (open(), &unsound, &[11, 12], errors::POLICY_INVALID),
    ];
    for (index, (life, alter, signers, expected)) in cases.into_iter().enumerate() {
        let mut change = policy_change(&policy());
        alter(&mut change);
        let answer = life.ask(CREATE, set_policy(change, signers));
        assert_eq!(answer.unwrap_err().code, expected, "case {index}");
    }
}

#[test]
fn a_transfer_within_the_policy_is_asked_for_with_its_transaction() {
    let unsigned = nsl_policy::transaction::transfer(TRANSFER, &neo_key().public_key(), &transfer()).unwrap();
    let event = TransferRequested {
        approvals_missing: None,
        not_before_ms: None,
        request_id: TRANSFER,
        request_sha256: request_sha256(TRANSFER),
        transfer: transfer(),
        tx_hash: unsigned.hash().to_string(),
        reserves: false,
        sign_by_ms: Some(UnixMs(NOW_MS + SIGNING_MS)),
    };
    let answer = Life::open().ask(TRANSFER, WalletCommand::RequestTransfer(transfer()));
    assert_eq!(answer, Ok(vec![event.into()]));
}

#[test]
fn two_commands_for_the_same_transfer_are_two_transactions() {
    let hash_of = |command_id| {
        let answer = Life::open().ask(command_id, WalletCommand::RequestTransfer(transfer())).unwrap();
        let [WalletEvent::TransferRequested(event)] = &answer[..] else { panic!("{answer:?}") };
        event.tx_hash.clone()
    };
    assert_eq!(hash_of(TRANSFER), hash_of(TRANSFER));
    assert_ne!(hash_of(TRANSFER), hash_of(CHANGE));
}

#[test]
fn a_transfer_outside_the_policy_is_rejected_by_the_rule_that_says_no() {
    let unlisted = "0xef4073a0f2b305a38ec4050e4d3d28bc40ea63f5";
    let cases: [(Alter<RequestTransfer>, ErrorCode); 10] = [
        (|t| t.asset = t.asset.to_uppercase(), errors::TRANSFER_INVALID),
        (|t| t.to = "NX".into(), errors::TRANSFER_INVALID),
        (|t| t.system_fee_datoshi = Datoshi(1 << 63), errors::TRANSFER_INVALID),
        (|t| t.network_fee_datoshi = Datoshi(1 << 63), errors::TRANSFER_INVALID),
        (|t| t.network_magic += 1, errors::NETWORK_NOT_ALLOWED),
        (|t| t.amount = Amount(101), errors::AMOUNT_NOT_ALLOWED),
        (|t| t.amount = Amount(0), errors::AMOUNT_NOT_ALLOWED),
        (|t| t.to = neo_key().public_key().address().to_string(), errors::RECIPIENT_NOT_ALLOWED),
        (|t| t.system_fee_datoshi.0 += 1, errors::FEE_NOT_ALLOWED),
        (|t| t.network_fee_datoshi.0 += 1, errors::FEE_NOT_ALLOWED),
    ];
    for (index, (alter, expected)) in cases.into_iter().enumerate() {
        let mut altered = transfer();
        alter(&mut altered);
        let answer = Life::open().ask(TRANSFER, WalletCommand::RequestTransfer(altered));
        assert_eq!(answer.unwrap_err().code, expected, "case {index}");
    }
    let other_asset = RequestTransfer { asset: unlisted.into(), ..transfer() };
    let answer = Life::open().ask(TRANSFER, WalletCommand::RequestTransfer(other_asset));
    assert_eq!(answer.unwrap_err().code, errors::ASSET_NOT_ALLOWED);
}

/// Each case breaks its rule and every rule below it: the answer names the first.
#[test]
fn a_transfer_is_rejected_by_the_first_rule_that_says_no() {
    let rules: [(Alter<RequestTransfer>, ErrorCode); 6] = [
        (|t| t.asset.push(' '), errors::TRANSFER_INVALID),
        (|t| t.network_magic += 1, errors::NETWORK_NOT_ALLOWED),
        (|t| t.asset = format!("0x{}", "11".repeat(20)), errors::ASSET_NOT_ALLOWED),
        (|t| t.amount = Amount(0), errors::AMOUNT_NOT_ALLOWED),
        (|t| t.to = neo_key().public_key().address().to_string(), errors::RECIPIENT_NOT_ALLOWED),
        (|t| t.network_fee_datoshi.0 += 1, errors::FEE_NOT_ALLOWED),
    ];
    for (first, (_, expected)) in rules.iter().enumerate() {
        let mut altered = transfer();
        for (alter, _) in rules[first..].iter().rev() {
            alter(&mut altered);
        }
        let answer = Life::open().ask(TRANSFER, WalletCommand::RequestTransfer(altered));
        assert_eq!(answer.unwrap_err().code, *expected, "from rule {first} on");
    }
}

#[test]
fn a_change_that_is_under_way_does_not_bind_transfers_yet() {
    let beyond = RequestTransfer { system_fee_datoshi: Datoshi(601), ..transfer() };
    let answer = Life::open().and_changing().ask(TRANSFER, WalletCommand::RequestTransfer(beyond.clone()));
    assert_eq!(answer.unwrap_err().code, errors::FEE_NOT_ALLOWED);
    let replaced = nsl_schemas::outcome::JobResult::PolicyReplaced { sealed_key: sealed(2) };
    let changed = Life::open().and_changing().and_outcome(outcome_of(CHANGE, replaced, Some(&sealed(2))));
    assert!(changed.ask(TRANSFER, WalletCommand::RequestTransfer(beyond)).is_ok());
}

#[test]
fn open_transfers_are_bounded_before_anything_else_is_looked_at() {
    let mut life = Life::open();
    let request = |index: usize| Uuid::from_u128(1_000 + u128::try_from(index).unwrap());
    for index in 0..OPEN_TRANSFERS_MAX {
        life = life.and(request(index), WalletCommand::RequestTransfer(transfer()));
    }
    let invalid = RequestTransfer { to: "NX".into(), ..transfer() };
    let answer = life.ask(TRANSFER, WalletCommand::RequestTransfer(invalid));
    assert_eq!(answer.unwrap_err().code, errors::TOO_MANY_OPEN_TRANSFERS);
    let freed = life.and_outcome(outcome_of(request(7), refused(), Some(&sealed(1))));
    assert!(freed.ask(TRANSFER, WalletCommand::RequestTransfer(transfer())).is_ok());
}

#[test]
fn a_command_for_another_tenants_wallet_of_the_same_name_changes_no_policy() {
    let mut foreign = order(id("main"), CHANGE, set_policy(policy_change(&policy()), &[11, 12]));
    foreign.tenant = Tenant::parse("other").unwrap();
    assert_eq!(Life::open().asked(foreign).unwrap_err().code, errors::POLICY_NOT_APPROVED);
}
