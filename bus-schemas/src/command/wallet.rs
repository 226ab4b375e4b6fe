//! Commands of a `wallet`: a Neo N3 account whose key lives in the enclave.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::commands;
use crate::authority::Signed;
use crate::number::{Amount, Datoshi};
use crate::outcome::SignedOutcome;
use crate::policy::{Policy, PolicyChange, RequestCancellation, TransferApproval};

commands! {
    /// What a wallet may be asked.
    WalletCommand {
        /// Bear a key under a first policy.
        Create = "create",
        /// Replace the policy.
        SetPolicy = "set-policy",
        /// Sign and send a NEP-17 transfer.
        RequestTransfer = "request-transfer",
        /// Let a transfer be signed, as one of the approvers that the policy names.
        ApproveTransfer = "approve-transfer",
        /// End a request that waits for approvals or a time lock, as an owner.
        CancelRequest = "cancel-request",
        /// Seal the key anew with another sealing key.
        ResealKey = "reseal-key",
        /// A worker reports what became of a job.
        RecordOutcome = "record-outcome",
        /// The chain relay reports a transaction in a block.
        RecordConfirmation = "record-confirmation",
        /// The chain relay reports a transaction that can no longer be in a block.
        RecordExpiry = "record-expiry",
        /// The reactor gives up a transfer that no worker signed in time.
        ExpireRequest = "expire-request",
    }
}

/// `create`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Create {
    /// The first policy; it names the owners.
    pub policy: Policy,
}

/// `set-policy`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SetPolicy {
    /// The change, signed by the quorum that the present policy names.
    pub change: Signed<PolicyChange>,
}

/// `reseal-key`: operators ask for it while a sealing key is rotated; the wallet's key and policy stay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ResealKey {
    /// The sealing key that shall seal it.
    pub sealing_key_id: String,
}

/// `request-transfer`: every field of the transaction that is not derived from the command id (D9).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RequestTransfer {
    /// In the token's smallest unit.
    pub amount: Amount,
    /// The NEP-17 contract, as `0x…`.
    pub asset: String,
    /// From a quote.
    pub network_fee_datoshi: Datoshi,
    /// The network's magic number.
    pub network_magic: u32,
    /// From a quote.
    pub system_fee_datoshi: Datoshi,
    /// The receiving address, as `N…`.
    pub to: String,
    /// The last block that may hold the transaction.
    pub valid_until_block: u32,
}

/// `approve-transfer`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ApproveTransfer {
    /// What the approver signed, alone.
    pub approval: Signed<TransferApproval>,
}

/// `cancel-request`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CancelRequest {
    /// What an owner signed.
    pub cancellation: Signed<RequestCancellation>,
}

/// `record-outcome`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RecordOutcome {
    /// What the worker signed.
    pub outcome: SignedOutcome,
}

/// `record-confirmation`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RecordConfirmation {
    /// The transfer's command id.
    pub request_id: Uuid,
    /// As the chain shows it, `0x…`.
    pub tx_hash: String,
    /// The block's height.
    pub block_index: u32,
    /// As the chain shows it, `0x…`.
    pub block_hash: String,
    /// How the VM ended.
    pub vm_state: VmState,
    /// What the VM said, when it faulted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exception: Option<String>,
    /// What the execution cost.
    pub gas_consumed_datoshi: Datoshi,
}

/// How the virtual machine ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum VmState {
    /// Done; the transfer happened.
    Halt,
    /// Undone; only fees were paid.
    Fault,
}

/// `record-expiry`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RecordExpiry {
    /// The transfer's command id.
    pub request_id: Uuid,
    /// As the chain would show it, `0x…`.
    pub tx_hash: String,
    /// The height that was seen without it; above the transaction's last block.
    pub block_index: u32,
    /// Why a node refused it, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `expire-request`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExpireRequest {
    /// The request's command id.
    pub request_id: Uuid,
}
