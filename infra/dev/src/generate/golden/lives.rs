//! Events in an order in which they may happen. Signatures of extents other than `full` are no signatures: a reader
//! takes what was recorded, it does not judge it again.

use nsl_schemas::authority::{
    Build, GenesisManifest, GrantRevocation, IssuerGrant, KeySignature, OperatorAct, OperatorStatement,
    Quorum, Scope, SealingProvider, Signed, TenantRoot,
};
use nsl_schemas::bytes::HpkeKey;
use nsl_schemas::command::wallet::{RequestTransfer, VmState};
use nsl_schemas::event::Event;
use nsl_schemas::event::authority::{
    AuthorityEvent, BuildAllowed, BuildRevoked, GenesisRecorded, IssuerGranted, IssuerRevoked,
    PoolEstablished, QuorumReplaced, RootRegistered, WorkerRevoked,
};
use nsl_schemas::event::price_feed::{FeedRegistered, PriceFeedEvent, RoundRecorded};
use nsl_schemas::event::rejection::CommandRejected;
use nsl_schemas::event::sealing::{SealingEvent, SealingKeyFounded};
use nsl_schemas::event::wallet::{
    CreationRefused, CreationRequested, KeyCreated, KeyResealRefused, KeyResealRequested, KeyResealed,
    OutcomeProof, PolicyChangeCancelled, PolicyChangeRefused, PolicyChangeRequested, PolicyChanged, Refusal,
    TransferApproved, TransferCancelled, TransferConfirmed, TransferExpired, TransferRefused,
    TransferRequestExpired, TransferRequested, TransferReserved, TransferSigned, WalletEvent,
};
use nsl_schemas::event::worker::{WorkerEvent, WorkerRegistered};
use nsl_schemas::number::{Amount, Datoshi, PriceE8, UnixMs};
use nsl_schemas::outcome::{BirthCertificate, BirthStatement, OutcomeStatement, SealedKey};
use nsl_schemas::policy::{ASSETS_MAX, AssetRule, Policy, RECIPIENTS_MAX};
use nsl_schemas::pool_view::PoolView;
use nsl_schemas::price::{FeedRules, JudgedObservation, OBSERVATIONS_MAX, Observation, Verdict};
use nsl_schemas::sealing::{
    CUSTODIANS_MAX, Custodian, EncryptedShare, SealingOrder, SealingRecord, SealingStatement,
};
use nsl_schemas::token::{AggregateId, Tenant, Venue};

use super::super::vectors::{GAS, NETWORK_MAGIC, RECIPIENT, authority, policy, transfer, transfers};
use super::values::{Extent, key};
use super::{held, secrets};

/// Most keys of an extreme quorum, builds, scopes and signatures.
const KEYS: usize = 16;
/// The result of a transfer's script, which every verdict and state of a VM occurs beside.
const VERDICTS: [Verdict; 6] = [
    Verdict::Accepted,
    Verdict::OutOfBounds,
    Verdict::CrossedQuote,
    Verdict::Stale,
    Verdict::FromTheFuture,
    Verdict::Outlier,
];

/// Every event of every aggregate, in this extent.
pub(super) fn all(extent: Extent) -> Vec<Event> {
    let mut events: Vec<Event> = authority(extent).map(Event::from).into();
    events.extend(price_feed(extent).map(Event::from));
    events.push(rejection(extent).into());
    events.push(SealingEvent::from(SealingKeyFounded { record: sealing_record(extent) }).into());
    events.extend(secrets::secret(extent).map(Event::from));
    events.extend(wallet(extent).map(Event::from));
    events.push(WorkerEvent::from(worker(extent)).into());
    events
}

fn authority(extent: Extent) -> [AuthorityEvent; 9] {
    let manifest = match extent {
        Extent::Full => authority::manifest(),
        _ => signed(extent, manifest(extent)),
    };
    let chain = authority::chain(&authority::manifest().statement);
    let (root, grant) = match extent {
        Extent::Full => (chain.root, chain.grant),
        _ => (signed(extent, tenant_root(extent)), signed(extent, grant(extent))),
    };
    let act = |act| signed(extent, operator_statement(extent, act));
    [
        GenesisRecorded { manifest }.into(),
        RootRegistered { root }.into(),
        IssuerGranted { grant }.into(),
        IssuerRevoked { revocation: signed(extent, revocation(extent)) }.into(),
        BuildAllowed { act: act(OperatorAct::AllowBuild { build: build(extent) }) }.into(),
        BuildRevoked { act: act(OperatorAct::RevokeBuild { build: build(extent) }) }.into(),
        WorkerRevoked { act: act(OperatorAct::RevokeWorker { key: extent.key() }) }.into(),
        QuorumReplaced {
            act: act(OperatorAct::ReplaceQuorum {
                quorum: quorum(extent),
                voids_roots: extent.of(false, true, true),
            }),
        }
        .into(),
        PoolEstablished { act: act(establish_pool(extent)) }.into(),
    ]
}

fn manifest(extent: Extent) -> GenesisManifest {
    GenesisManifest {
        log_origin: extent.text("nsl.example/golden"),
        quorum: quorum(extent),
        attestation_root_sha256: extent.sha256("attestation root"),
        builds: extent.list(KEYS, |_| build(extent)),
        sealing_provider: SealingProvider::Development,
        created_at_ms: extent.time_ms(),
    }
}

fn build(extent: Extent) -> Build {
    Build { name: extent.text("0.1.0"), pcr0: extent.pcr(), pcr1: extent.pcr(), pcr2: extent.pcr() }
}

fn establish_pool(extent: Extent) -> OperatorAct {
    let view = PoolView {
        genesis_sha256: extent.sha256("genesis"),
        heads_sha256: extent.sha256("heads"),
        members: extent.list(KEYS, |_| extent.key()),
        number: extent.u32(1),
    };
    OperatorAct::EstablishPool { heads_position: extent.time_ms(), view }
}

fn operator_statement(extent: Extent, act: OperatorAct) -> OperatorStatement {
    OperatorStatement {
        act,
        epoch: extent.u32(1),
        genesis_sha256: extent.sha256("genesis"),
        issued_at_ms: extent.time_ms(),
        previous_sha256: extent.sha256("previous act"),
        sequence: extent.u32(2),
    }
}

fn revocation(extent: Extent) -> GrantRevocation {
    GrantRevocation {
        genesis_sha256: extent.sha256("genesis"),
        key: extent.key(),
        revoked_at_ms: extent.time_ms(),
        tenant: tenant(extent),
    }
}

fn tenant_root(extent: Extent) -> TenantRoot {
    TenantRoot {
        epoch: extent.u32(1),
        genesis_sha256: extent.sha256("genesis"),
        tenant: tenant(extent),
        key: extent.key(),
        issued_at_ms: extent.time_ms(),
    }
}

fn grant(extent: Extent) -> IssuerGrant {
    let scope = |_| Scope { aggregate: extent.text("wallet"), id: extent.text("*"), verb: extent.text("*") };
    IssuerGrant {
        genesis_sha256: extent.sha256("genesis"),
        tenant: tenant(extent),
        key: extent.key(),
        label: extent.text("golden"),
        scopes: extent.list(KEYS, scope),
        not_before_ms: extent.time_ms(),
        expires_at_ms: extent.time_ms(),
    }
}

pub(super) fn signed<T>(extent: Extent, statement: T) -> Signed<T> {
    let signature = |_| KeySignature { key: extent.key(), signature: extent.bytes(&[9; 64]) };
    Signed { statement, signatures: extent.list(KEYS, signature) }
}

fn sealing_record(extent: Extent) -> SealingRecord {
    let custodian = |_| Custodian { key: HpkeKey(extent.sha256("custodian").0), name: extent.text("ada") };
    let order = SealingOrder {
        custodians: extent.list(CUSTODIANS_MAX, custodian),
        epoch: extent.u32(1),
        genesis_sha256: extent.sha256("genesis"),
        issued_at_ms: extent.time_ms(),
        quorum_epoch: extent.u32(0),
        threshold: extent.of(0, 2, u8::MAX),
    };
    let share = |_| EncryptedShare { commitment: extent.sha256("share"), message: extent.bytes(&[5; 81]) };
    let statement = SealingStatement {
        // Custodians' keys have none, and they are what is usual.
        ciphertext: extent.of(None, None, Some(extent.bytes(&[6; 184]))),
        key_id: extent.text("0123456789abcdef"),
        order: signed(extent, order),
        shares: extent.list(CUSTODIANS_MAX, share),
    };
    SealingRecord { document: extent.bytes(b"a COSE_Sign1 document"), statement }
}

pub(super) fn quorum(extent: Extent) -> Quorum {
    let seed = |index| key(u8::try_from(index).unwrap_or(u8::MAX));
    Quorum { threshold: extent.of(0, 2, u8::MAX), keys: extent.list(KEYS, seed) }
}

pub(super) fn tenant(extent: Extent) -> Tenant {
    Tenant::parse(&extent.token("acme")).expect("tokens of samples are tokens")
}

fn price_feed(extent: Extent) -> [PriceFeedEvent; 2] {
    let observation = |index: usize| JudgedObservation {
        observation: Observation {
            venue: Venue::parse(&extent.token("bitfinex")).expect("tokens of samples are tokens"),
            price_e8: PriceE8(extent.u64(451_000_000)),
            bid_e8: extent.optional(PriceE8(extent.u64(450_900_000))),
            ask_e8: extent.optional(PriceE8(extent.u64(451_100_000))),
            observed_at_ms: extent.time_ms(),
        },
        verdict: VERDICTS[index % VERDICTS.len()],
    };
    let rules = FeedRules {
        sources_min: extent.of(0, 2, u8::MAX),
        age_max_ms: extent.integer(60_000),
        deviation_floor_bps: extent.u32(100),
        price_min_e8: PriceE8(extent.u64(1)),
        price_max_e8: PriceE8(extent.u64(100_000_000_000)),
    };
    let round = RoundRecorded {
        round: extent.integer(1),
        as_of_ms: extent.time_ms(),
        price_e8: PriceE8(extent.u64(451_000_000)),
        confidence_e8: PriceE8(extent.u64(120_000)),
        observations: extent.list(OBSERVATIONS_MAX, observation),
    };
    [FeedRegistered { rules }.into(), round.into()]
}

fn rejection(extent: Extent) -> CommandRejected {
    CommandRejected {
        subject: extent.text("nsl.v1.cmd.acme.wallet.main.create"),
        code: extent.text("wallet_exists"),
        message: extent.text("the wallet exists"),
    }
}

fn worker(extent: Extent) -> WorkerRegistered {
    WorkerRegistered {
        key: extent.key(),
        pcr0: extent.pcr(),
        attested_at_ms: extent.time_ms(),
        attestation: extent.bytes(b"a COSE_Sign1 document"),
    }
}

/// A refused creation, then a wallet whose policy change and transfer are refused before others are not.
fn wallet(extent: Extent) -> [WalletEvent; 19] {
    let request_id = extent.uuid();
    let request_sha256 = extent.sha256("request");
    let tx_hash = || extent.text(&transfers::unsigned().hash().to_string());
    let (policy, outcome, refusal) = (|| policy_of(extent), || outcome(extent), || refusal(extent));
    let block_index = extent.u32(4_321);
    [
        CreationRefused { request_id, refusal: refusal() }.into(),
        CreationRequested { request_id, request_sha256, policy: policy() }.into(),
        key_created(extent).into(),
        PolicyChangeRefused { request_id, refusal: refusal() }.into(),
        PolicyChangeRequested {
            not_before_ms: extent.optional(UnixMs(extent.u64(1_750_000_000_000))),
            request_id,
            request_sha256,
            policy: policy(),
        }
        .into(),
        PolicyChangeCancelled { cancellation: held::cancellation(extent), request_id }.into(),
        PolicyChanged { request_id, policy: policy(), sealed_key: sealed_key(extent), outcome: outcome() }
            .into(),
        KeyResealRefused { request_id, refusal: refusal() }.into(),
        KeyResealRequested { request_id, request_sha256, sealing_key_id: extent.text("pool-2") }.into(),
        KeyResealed { request_id, sealed_key: sealed_key(extent), outcome: outcome() }.into(),
        TransferRefused { request_id, refusal: refusal() }.into(),
        TransferRequestExpired {
            request_id,
            tx_hash: tx_hash(),
            valid_until_block: extent.u32(5_760),
            sign_by_ms: UnixMs(extent.u64(1_750_000_000_000)),
        }
        .into(),
        TransferApproved {
            approval: held::approval(extent),
            approvals_missing: extent.of(0, 1, u8::MAX),
            request_id,
            reserves: extent.of(false, true, true),
        }
        .into(),
        TransferCancelled { cancellation: held::cancellation(extent), request_id, tx_hash: tx_hash() }.into(),
        TransferRequested {
            approvals_missing: extent.optional(extent.of(0, 2, u8::MAX)),
            not_before_ms: extent.optional(UnixMs(extent.u64(1_750_000_000_000))),
            request_id,
            request_sha256,
            reserves: extent.of(false, true, true),
            transfer: transfer_of(extent),
            tx_hash: tx_hash(),
            sign_by_ms: extent.optional(UnixMs(extent.u64(1_750_000_000_000))),
        }
        .into(),
        TransferReserved { outcome: outcome(), request_id, reservation: held::reservation(extent) }.into(),
        TransferSigned {
            request_id,
            tx_hash: tx_hash(),
            valid_until_block: extent.u32(5_760),
            transaction: extent.bytes(&transfers::unsigned().to_bytes()),
            outcome: outcome(),
        }
        .into(),
        TransferConfirmed {
            request_id,
            tx_hash: tx_hash(),
            block_index,
            block_hash: extent.text(GAS),
            vm_state: extent.of(VmState::Halt, VmState::Halt, VmState::Fault),
            exception: extent.optional(extent.text("at instruction 7 (ABORT)")),
            gas_consumed_datoshi: Datoshi(extent.u64(997_775)),
        }
        .into(),
        TransferExpired {
            request_id,
            tx_hash: tx_hash(),
            block_index,
            reason: extent.optional(extent.text("insufficient funds")),
        }
        .into(),
    ]
}

fn key_created(extent: Extent) -> KeyCreated {
    let statement = BirthStatement {
        genesis_sha256: extent.sha256("genesis"),
        tenant: tenant(extent),
        wallet: AggregateId::parse(&extent.token("main")).expect("tokens of samples are tokens"),
        command_id: extent.uuid(),
        public_key: extent.text(transfers::PUBLIC_KEY),
        policy_sha256: policy_of(extent).sha256(),
        owners: quorum(extent),
    };
    KeyCreated {
        request_id: extent.uuid(),
        public_key: extent.text(transfers::PUBLIC_KEY),
        address: extent.text(RECIPIENT),
        sealed_key: sealed_key(extent),
        birth_certificate: BirthCertificate { statement, document: extent.bytes(b"a COSE_Sign1 document") },
        outcome: outcome(extent),
    }
}

pub(super) fn sealed_key(extent: Extent) -> SealedKey {
    SealedKey {
        sealing_key_id: extent.text("pool-1"),
        version: extent.u32(1),
        nonce: extent.bytes(&[7; 12]),
        ciphertext: extent.bytes(&[8; 48]),
    }
}

pub(super) fn outcome(extent: Extent) -> OutcomeProof {
    let statement = OutcomeStatement {
        job_id: extent.uuid(),
        request_sha256: extent.sha256("request"),
        result_sha256: extent.sha256("result"),
        post_state_sha256: extent.sha256("state"),
    };
    OutcomeProof { worker: extent.key(), statement, signature: extent.bytes(&[9; 64]) }
}

pub(super) fn refusal(extent: Extent) -> Refusal {
    Refusal {
        code: extent.text("worker_policy_denied"),
        message: extent.text("amount is above the bound"),
        outcome: outcome(extent),
    }
}

fn policy_of(extent: Extent) -> Policy {
    if extent == Extent::Full {
        return Policy {
            recipients: Some(vec![RECIPIENT.to_owned()]),
            rules: held::rules(extent),
            ..policy()
        };
    }
    let asset = |_| AssetRule { asset: extent.text(GAS), amount_max: Amount(u128::MAX) };
    Policy {
        owners: quorum(extent),
        network_magic: extent.u32(NETWORK_MAGIC),
        assets: extent.list(ASSETS_MAX, asset),
        recipients: extent.optional(extent.list(RECIPIENTS_MAX, |_| RECIPIENT.to_owned())),
        fee_max_datoshi: Datoshi(extent.u64(0)),
        rules: held::rules(extent),
    }
}

pub(super) fn transfer_of(extent: Extent) -> RequestTransfer {
    if extent == Extent::Full {
        return transfer();
    }
    RequestTransfer {
        network_magic: extent.u32(NETWORK_MAGIC),
        asset: extent.text(GAS),
        to: extent.text(RECIPIENT),
        amount: Amount(extent.of(0, 0, u128::MAX)),
        system_fee_datoshi: Datoshi(extent.u64(0)),
        network_fee_datoshi: Datoshi(extent.u64(0)),
        valid_until_block: extent.u32(0),
    }
}
