//! Policies with every rule, and what is signed or reserved about requests that such policies hold back.

use nsl_schemas::authority::Signed;
use nsl_schemas::number::{Amount, UnixMs};
use nsl_schemas::policy::{
    AMOUNT_WINDOWS_MAX, ASSETS_MAX, AmountWindow, ApprovalRule, AssetRule, AssetWindow, CONTRACTS_MAX,
    ContractRule, Counters, CountingRules, LastBlockRule, METHODS_MAX, RequestCancellation, Rules,
    SignatureWindow, TimeLocks, TransferApproval, TransferLock, Window, WitnessScope,
};
use nsl_schemas::reservation::{Reservation, SEAL_BYTES, SealedReservation};
use nsl_schemas::token::AggregateId;

use super::super::vectors::{GAS, transfers};
use super::lives::{quorum, signed, tenant, transfer_of};
use super::values::Extent;

/// Most buckets of a window: as many as `nsl-policy` cuts one into, and the one that has begun.
const BUCKETS_MAX: usize = 25;

/// Every rule, or none where the extent leaves out what may be left out.
pub(super) fn rules(extent: Extent) -> Rules {
    let amount_max = Amount(extent.of(0, 500_000_000, u128::MAX));
    let free = || extent.list(ASSETS_MAX, |_| AssetRule { asset: extent.text(GAS), amount_max });
    let contract = |_| ContractRule {
        contract: extent.text(GAS),
        methods: extent.list(METHODS_MAX, |_| extent.text("transfer")),
    };
    Rules {
        approvals: extent.optional(ApprovalRule {
            approvers: quorum(extent),
            free: free(),
            within_seconds: extent.u32(3_600),
        }),
        contracts: extent.optional(extent.list(CONTRACTS_MAX, contract)),
        counting: extent.optional(counting(extent)),
        last_block: extent.optional(LastBlockRule {
            ahead_max: extent.u32(240),
            block_ms: extent.u32(15_000),
            known_block: extent.u32(7_000_000),
            known_block_ms: extent.time_ms(),
        }),
        scopes: extent.optional(vec![extent.of(
            WitnessScope::None,
            WitnessScope::CalledByEntry,
            WitnessScope::Global,
        )]),
        time_locks: extent.optional(TimeLocks {
            policy_change_seconds: extent.optional(extent.u32(172_800)),
            transfer: extent.optional(TransferLock { delay_seconds: extent.u32(3_600), free: free() }),
        }),
    }
}

fn counting(extent: Extent) -> CountingRules {
    let window = |_| AmountWindow {
        amount_max: Amount(extent.of(0, 5_000_000_000, u128::MAX)),
        asset: extent.text(GAS),
        window_seconds: extent.u32(86_400),
    };
    CountingRules {
        amounts: extent.list(AMOUNT_WINDOWS_MAX, window),
        signatures: extent
            .optional(SignatureWindow { count_max: extent.u32(10), window_seconds: extent.u32(3_600) }),
        signatures_in_all_max: extent.optional(extent.u32(1_000)),
    }
}

pub(super) fn approval(extent: Extent) -> Signed<TransferApproval> {
    let statement = TransferApproval {
        expires_at_ms: extent.time_ms(),
        genesis_sha256: extent.sha256("genesis"),
        policy_sha256: extent.sha256("policy"),
        request_id: extent.uuid(),
        request_sha256: extent.sha256("request"),
        tenant: tenant(extent),
        transfer: transfer_of(extent),
        wallet: wallet(extent),
    };
    signed(extent, statement)
}

pub(super) fn cancellation(extent: Extent) -> Signed<RequestCancellation> {
    let statement = RequestCancellation {
        genesis_sha256: extent.sha256("genesis"),
        request_id: extent.uuid(),
        tenant: tenant(extent),
        wallet: wallet(extent),
    };
    signed(extent, statement)
}

pub(super) fn reservation(extent: Extent) -> SealedReservation {
    let reservation = Reservation {
        counters: counters(extent),
        genesis_sha256: extent.sha256("genesis"),
        key_version: 1,
        policy_sha256: extent.sha256("policy"),
        previous_sha256: extent.sha256("previous reservation"),
        request_id: extent.uuid(),
        request_sha256: extent.sha256("request"),
        reserved_at_ms: extent.time_ms(),
        sequence: extent.u32(2),
        tenant: tenant(extent),
        tx_hash: extent.text(&transfers::unsigned().hash().to_string()),
        wallet: wallet(extent),
    };
    SealedReservation { reservation, seal: extent.bytes(&[6; SEAL_BYTES]) }
}

fn counters(extent: Extent) -> Counters {
    // As many buckets as a window can have.
    let bucket = |index: usize| {
        let hours = u64::try_from(index).unwrap_or(u64::MAX);
        (UnixMs(extent.u64(1_749_999_600_000).saturating_sub(hours)), Amount(extent.of(0, 3, u128::MAX)))
    };
    let window = || Window {
        buckets: extent.list(BUCKETS_MAX, bucket).into_iter().collect(),
        window_seconds: extent.u32(86_400),
    };
    Counters {
        amounts: extent
            .list(AMOUNT_WINDOWS_MAX, |_| AssetWindow { asset: extent.text(GAS), window: window() }),
        last_ms: UnixMs(extent.u64(1_750_000_000_000)),
        signatures: extent.optional(window()),
        signatures_in_all: extent.u32(2),
    }
}

fn wallet(extent: Extent) -> AggregateId {
    AggregateId::parse(&extent.token("main")).expect("tokens of samples are tokens")
}
