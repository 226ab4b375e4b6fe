//! Policies with every rule, and what is signed about requests that such policies hold back.

use nsl_schemas::authority::Signed;
use nsl_schemas::number::Amount;
use nsl_schemas::policy::{
    AMOUNT_WINDOWS_MAX, ASSETS_MAX, AmountWindow, ApprovalRule, AssetRule, CONTRACTS_MAX, ContractRule,
    CountingRules, LastBlockRule, METHODS_MAX, RequestCancellation, Rules, SignatureWindow, TimeLocks,
    TransferApproval, TransferLock, WitnessScope,
};
use nsl_schemas::token::AggregateId;

use super::super::vectors::GAS;
use super::lives::{quorum, signed, tenant, transfer_of};
use super::values::Extent;

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

fn wallet(extent: Extent) -> AggregateId {
    AggregateId::parse(&extent.token("main")).expect("tokens of samples are tokens")
}
