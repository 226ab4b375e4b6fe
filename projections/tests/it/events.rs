//! Events to append.

use nsl_schemas::authority::{Quorum, Signed};
use nsl_schemas::bytes::{Base64, Sha256};
use nsl_schemas::command::wallet::{RequestTransfer, VmState};
use nsl_schemas::event::price_feed::{FeedRegistered, PriceFeedEvent, RoundRecorded};
use nsl_schemas::event::wallet::{
    CreationRefused, CreationRequested, KeyCreated, OutcomeProof, PolicyChanged, Refusal, TransferApproved,
    TransferCancelled, TransferConfirmed, TransferExpired, TransferRefused, TransferRequestExpired,
    TransferRequested, TransferReserved, TransferSigned, WalletEvent,
};
use nsl_schemas::nkey::SigningKey;
use nsl_schemas::number::{Amount, Datoshi, PriceE8, UnixMs};
use nsl_schemas::outcome::{BirthCertificate, BirthStatement, JobResult, SealedKey, SignedOutcome};
use nsl_schemas::policy::{Counters, Policy, RequestCancellation, Rules, TransferApproval};
use nsl_schemas::price::{FeedRules, JudgedObservation, Observation, Verdict};
use nsl_schemas::reservation::{Reservation, SEAL_BYTES, SealedReservation};
use nsl_schemas::token::{AggregateId, Tenant, Venue};
use uuid::Uuid;

pub(crate) fn request(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

pub(crate) fn tx_hash(number: u128) -> String {
    format!("0x{number:064x}")
}

pub(crate) fn policy(fee_max: u64) -> Policy {
    Policy {
        owners: Quorum { threshold: 1, keys: vec![SigningKey::from_seed(&[1; 32]).public()] },
        network_magic: 56753,
        assets: Vec::new(),
        recipients: None,
        fee_max_datoshi: Datoshi(fee_max),
        rules: Rules::default(),
    }
}

pub(crate) fn proof() -> OutcomeProof {
    let result = JobResult::Refused { code: "worker_policy_denied".into(), message: "no".into() };
    let key = SigningKey::from_seed(&[2; 32]);
    OutcomeProof::from(&SignedOutcome::sign(&key, request(99), Sha256::of(b"request"), result, None))
}

pub(crate) fn refusal() -> Refusal {
    Refusal { code: "worker_policy_denied".into(), message: "no".into(), outcome: proof() }
}

pub(crate) fn sealed_key() -> SealedKey {
    SealedKey {
        sealing_key_id: "sealing".into(),
        version: 1,
        nonce: Base64(vec![0; 12]),
        ciphertext: Base64(vec![0; 48]),
    }
}

pub(crate) fn creation_requested(number: u128) -> WalletEvent {
    let request_sha256 = Sha256::of(b"request");
    CreationRequested { request_id: request(number), request_sha256, policy: policy(10) }.into()
}

pub(crate) fn key_created(number: u128) -> WalletEvent {
    let statement = BirthStatement {
        genesis_sha256: Sha256::of(b"genesis"),
        tenant: Tenant::parse("acme").unwrap(),
        wallet: AggregateId::parse("main").unwrap(),
        command_id: request(number),
        public_key: "02aa".into(),
        policy_sha256: policy(10).sha256(),
        owners: policy(10).owners,
    };
    KeyCreated {
        request_id: request(number),
        public_key: "02aa".into(),
        address: "NAddress".into(),
        sealed_key: sealed_key(),
        birth_certificate: BirthCertificate { statement, document: Base64(vec![1]) },
        outcome: proof(),
    }
    .into()
}

pub(crate) fn creation_refused(number: u128) -> WalletEvent {
    CreationRefused { request_id: request(number), refusal: refusal() }.into()
}

pub(crate) fn policy_changed(number: u128, fee_max: u64) -> WalletEvent {
    let (policy, sealed_key) = (policy(fee_max), sealed_key());
    PolicyChanged { request_id: request(number), policy, sealed_key, outcome: proof() }.into()
}

fn transfer() -> RequestTransfer {
    RequestTransfer {
        network_magic: 56753,
        asset: "0xd2a4cff31913016155e38e474a2c06d08be276cf".into(),
        to: "NReceiver".into(),
        amount: Amount(u128::MAX),
        system_fee_datoshi: Datoshi(1),
        network_fee_datoshi: Datoshi(2),
        valid_until_block: u32::MAX,
    }
}

pub(crate) fn transfer_requested(number: u128) -> WalletEvent {
    transfer_held(number, None)
}

/// A transfer that so many must approve.
pub(crate) fn transfer_held(number: u128, approvals_missing: Option<u8>) -> WalletEvent {
    TransferRequested {
        approvals_missing,
        not_before_ms: approvals_missing.map(|_| UnixMs(u64::MAX)),
        request_id: request(number),
        request_sha256: Sha256::of(b"request"),
        transfer: transfer(),
        tx_hash: tx_hash(number),
        reserves: false,
        sign_by_ms: Some(UnixMs(u64::MAX)),
    }
    .into()
}

pub(crate) fn transfer_approved(number: u128, approvals_missing: u8) -> WalletEvent {
    let statement = TransferApproval {
        expires_at_ms: 1,
        genesis_sha256: Sha256::of(b"genesis"),
        policy_sha256: Sha256::of(b"policy"),
        request_id: request(number),
        request_sha256: Sha256::of(b"request"),
        tenant: Tenant::parse("acme").unwrap(),
        transfer: transfer(),
        wallet: AggregateId::parse("main").unwrap(),
    };
    let approval = Signed { statement, signatures: vec![] };
    TransferApproved { approval, approvals_missing, request_id: request(number), reserves: false }.into()
}

pub(crate) fn transfer_cancelled(number: u128) -> WalletEvent {
    let statement = RequestCancellation {
        genesis_sha256: Sha256::of(b"genesis"),
        request_id: request(number),
        tenant: Tenant::parse("acme").unwrap(),
        wallet: AggregateId::parse("main").unwrap(),
    };
    let cancellation = Signed { statement, signatures: vec![] };
    TransferCancelled { cancellation, request_id: request(number), tx_hash: tx_hash(number) }.into()
}

pub(crate) fn transfer_reserved(number: u128) -> WalletEvent {
    let reservation = Reservation {
        counters: Counters::default(),
        genesis_sha256: Sha256::of(b"genesis"),
        key_version: 1,
        policy_sha256: Sha256::of(b"policy"),
        previous_sha256: Sha256::of(b""),
        request_id: request(number),
        request_sha256: Sha256::of(b"request"),
        reserved_at_ms: 1,
        sequence: 1,
        tenant: Tenant::parse("acme").unwrap(),
        tx_hash: tx_hash(number),
        wallet: AggregateId::parse("main").unwrap(),
    };
    let reservation = SealedReservation { reservation, seal: Base64(vec![7; SEAL_BYTES]) };
    TransferReserved { outcome: proof(), request_id: request(number), reservation }.into()
}

pub(crate) fn transfer_signed(number: u128) -> WalletEvent {
    TransferSigned {
        request_id: request(number),
        tx_hash: tx_hash(number),
        valid_until_block: u32::MAX,
        transaction: Base64(vec![7]),
        outcome: proof(),
    }
    .into()
}

pub(crate) fn transfer_refused(number: u128) -> WalletEvent {
    TransferRefused { request_id: request(number), refusal: refusal() }.into()
}

pub(crate) fn transfer_confirmed(number: u128, vm_state: VmState) -> WalletEvent {
    TransferConfirmed {
        request_id: request(number),
        tx_hash: tx_hash(number),
        block_index: 12,
        block_hash: "0xblock".into(),
        vm_state,
        exception: (vm_state == VmState::Fault).then(|| "out of GAS".into()),
        gas_consumed_datoshi: Datoshi(u64::MAX),
    }
    .into()
}

pub(crate) fn transfer_expired(number: u128) -> WalletEvent {
    let reason = Some("expired".into());
    TransferExpired { request_id: request(number), tx_hash: tx_hash(number), block_index: 13, reason }.into()
}

pub(crate) fn transfer_request_expired(number: u128) -> WalletEvent {
    TransferRequestExpired {
        request_id: request(number),
        tx_hash: tx_hash(number),
        valid_until_block: u32::MAX,
        sign_by_ms: UnixMs(u64::MAX),
    }
    .into()
}

pub(crate) fn feed_registered(age_max_ms: u64) -> PriceFeedEvent {
    let rules = FeedRules {
        sources_min: 2,
        age_max_ms,
        deviation_floor_bps: 50,
        price_min_e8: PriceE8(1),
        price_max_e8: PriceE8(u64::MAX),
    };
    FeedRegistered { rules }.into()
}

pub(crate) fn round_recorded(round: u64, price: u64) -> PriceFeedEvent {
    let judged = |venue: &str, verdict| JudgedObservation {
        observation: Observation {
            venue: Venue::parse(venue).unwrap(),
            price_e8: PriceE8(price),
            bid_e8: None,
            ask_e8: None,
            observed_at_ms: 1_700_000_000_000,
        },
        verdict,
    };
    let observations = vec![
        judged("bitfinex", Verdict::Accepted),
        judged("binance", Verdict::Stale),
        judged("okx", Verdict::Accepted),
    ];
    RoundRecorded {
        round,
        as_of_ms: 1_700_000_000_000 + round,
        price_e8: PriceE8(price),
        confidence_e8: PriceE8(3),
        observations,
    }
    .into()
}
