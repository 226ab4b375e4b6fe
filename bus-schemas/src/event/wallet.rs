//! Events of a `wallet`.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Upcast, events};
use crate::authority::Signed;
use crate::bytes::{Base64, Sha256};
use crate::command::wallet::{RequestTransfer, VmState};
use crate::number::{Datoshi, UnixMs};
use crate::outcome::{BirthCertificate, SealedKey, SignedOutcome};
use crate::policy::{Policy, RequestCancellation, TransferApproval};
use crate::reservation::SealedReservation;

/// 1.1.0 adds `rules` to policies, and `not_before_ms` to the request of a change.
const WITH_RULES: &[Upcast] = &[Upcast { from: "1.0.0", change: None }];
/// 1.1.0 adds `sign_by_ms`, 1.2.0 `approvals_missing`, `not_before_ms` and `reserves`.
const TRANSFER_REQUESTED: &[Upcast] =
    &[Upcast { from: "1.0.0", change: None }, Upcast { from: "1.1.0", change: None }];

events! {
    /// What happened to a wallet.
    WalletEvent of "wallet" {
        /// A client asked for the wallet.
        CreationRequested = "creation-requested" in "1.1.0" from WITH_RULES,
        /// A worker made its key; the wallet is open.
        KeyCreated = "key-created",
        /// A worker would not; the wallet may be asked for again.
        CreationRefused = "creation-refused",
        /// The owners asked for another policy.
        PolicyChangeRequested = "policy-change-requested" in "1.1.0" from WITH_RULES,
        /// The key is sealed under the new policy, which is in force.
        PolicyChanged = "policy-changed" in "1.1.0" from WITH_RULES,
        /// A worker would not; the old policy stays.
        PolicyChangeRefused = "policy-change-refused",
        /// An owner ended the change before its time lock did; the old policy stays.
        PolicyChangeCancelled = "policy-change-cancelled",
        /// Operators asked for the key under another sealing key.
        KeyResealRequested = "key-reseal-requested",
        /// The key is sealed with the other sealing key.
        KeyResealed = "key-resealed",
        /// A worker would not; the key stays as it was sealed.
        KeyResealRefused = "key-reseal-refused",
        /// A client asked for a transfer, and the policy allows it.
        TransferRequested = "transfer-requested" in "1.2.0" from TRANSFER_REQUESTED,
        /// An approver let it be signed.
        TransferApproved = "transfer-approved",
        /// An owner ended it while it waited for approvals or its time lock.
        TransferCancelled = "transfer-cancelled",
        /// A worker reserved for it, under a policy that counts; another job signs it.
        TransferReserved = "transfer-reserved",
        /// A worker signed it; it may be sent.
        TransferSigned = "transfer-signed",
        /// A worker would not.
        TransferRefused = "transfer-refused",
        /// It is in a block.
        TransferConfirmed = "transfer-confirmed",
        /// It can no longer be in a block.
        TransferExpired = "transfer-expired",
        /// No worker signed it in time, and no signature is taken any more.
        TransferRequestExpired = "transfer-request-expired",
    }
}

/// `creation-requested`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CreationRequested {
    /// The command.
    pub request_id: Uuid,
    /// Its hash, which the outcome must name.
    pub request_sha256: Sha256,
    /// The first policy.
    pub policy: Policy,
}

/// `key-created`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KeyCreated {
    /// The command that asked.
    pub request_id: Uuid,
    /// The compressed P-256 key, 66 hex digits.
    pub public_key: String,
    /// Its Neo N3 address.
    pub address: String,
    /// The key, sealed.
    pub sealed_key: SealedKey,
    /// The proof of its birth.
    pub birth_certificate: BirthCertificate,
    /// The worker's proof of the whole outcome.
    pub outcome: OutcomeProof,
}

/// What remains of a [`SignedOutcome`] when its result is spread over the event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OutcomeProof {
    /// Which worker.
    pub worker: crate::nkey::PublicKey,
    /// What it signed.
    pub statement: crate::outcome::OutcomeStatement,
    /// Its signature.
    pub signature: Base64,
}

impl From<&SignedOutcome> for OutcomeProof {
    fn from(outcome: &SignedOutcome) -> Self {
        let SignedOutcome { statement, result: _, worker, signature } = outcome;
        Self { worker: *worker, statement: statement.clone(), signature: signature.clone() }
    }
}

/// `creation-refused`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CreationRefused {
    /// The command that asked.
    pub request_id: Uuid,
    /// Why.
    pub refusal: Refusal,
}

/// Why a worker would not do a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Refusal {
    /// A stable code.
    pub code: String,
    /// What happened.
    pub message: String,
    /// The worker's proof.
    pub outcome: OutcomeProof,
}

/// `policy-change-requested`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PolicyChangeRequested {
    /// Until then it may be cancelled and no worker has it, Unix ms; absent where no time lock holds it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before_ms: Option<UnixMs>,
    /// The command.
    pub request_id: Uuid,
    /// Its hash, which the outcome must name.
    pub request_sha256: Sha256,
    /// The policy that shall begin.
    pub policy: Policy,
}

/// `policy-changed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PolicyChanged {
    /// The command that asked.
    pub request_id: Uuid,
    /// The policy in force.
    pub policy: Policy,
    /// The key, sealed under it.
    pub sealed_key: SealedKey,
    /// The worker's proof.
    pub outcome: OutcomeProof,
}

/// `policy-change-refused`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PolicyChangeRefused {
    /// The command that asked.
    pub request_id: Uuid,
    /// Why.
    pub refusal: Refusal,
}

/// `policy-change-cancelled`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PolicyChangeCancelled {
    /// What the owner signed.
    pub cancellation: Signed<RequestCancellation>,
    /// The command that asked.
    pub request_id: Uuid,
}

/// `key-reseal-requested`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KeyResealRequested {
    /// The command.
    pub request_id: Uuid,
    /// Its hash, which the outcome must name.
    pub request_sha256: Sha256,
    /// The sealing key that shall seal it.
    pub sealing_key_id: String,
}

/// `key-resealed`: the same key under the same policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KeyResealed {
    /// The command that asked.
    pub request_id: Uuid,
    /// The key, sealed anew.
    pub sealed_key: SealedKey,
    /// The worker's proof.
    pub outcome: OutcomeProof,
}

/// `key-reseal-refused`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KeyResealRefused {
    /// The command that asked.
    pub request_id: Uuid,
    /// Why.
    pub refusal: Refusal,
}

/// `transfer-requested`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TransferRequested {
    /// How many approvers must approve before a worker has it; absent where none must.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approvals_missing: Option<u8>,
    /// Until then no worker has it, Unix ms; absent where no time lock holds it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before_ms: Option<UnixMs>,
    /// The command.
    pub request_id: Uuid,
    /// Its hash, which the outcome must name.
    pub request_sha256: Sha256,
    /// Whether a worker reserves for it before one signs it, if nothing holds it back: the policy counts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reserves: bool,
    /// From then on it may be given up unsigned, Unix ms; requests from before there were deadlines have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sign_by_ms: Option<UnixMs>,
    /// What was asked.
    pub transfer: RequestTransfer,
    /// The transaction that follows from it, `0x…`.
    pub tx_hash: String,
}

/// `transfer-approved`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TransferApproved {
    /// What the approver signed.
    pub approval: Signed<TransferApproval>,
    /// How many more must approve under the policy in force; with none, a worker may have it.
    pub approvals_missing: u8,
    /// The command that asked for the transfer.
    pub request_id: Uuid,
    /// Whether a worker reserves for it before one signs it, if none is missing: the policy counts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reserves: bool,
}

/// `transfer-cancelled`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TransferCancelled {
    /// What the owner signed.
    pub cancellation: Signed<RequestCancellation>,
    /// The command that asked.
    pub request_id: Uuid,
    /// As the chain would show it, `0x…`.
    pub tx_hash: String,
}

/// `transfer-reserved`. What is reserved stays taken, whether the transfer is signed or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TransferReserved {
    /// The worker's proof.
    pub outcome: OutcomeProof,
    /// The command that asked for the transfer.
    pub request_id: Uuid,
    /// The wallet's last reservation from now on.
    pub reservation: SealedReservation,
}

/// `transfer-signed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TransferSigned {
    /// The command that asked.
    pub request_id: Uuid,
    /// As the chain shows it, `0x…`.
    pub tx_hash: String,
    /// The last block that may hold it.
    pub valid_until_block: u32,
    /// The exact bytes to send, witness included.
    pub transaction: Base64,
    /// The worker's proof.
    pub outcome: OutcomeProof,
}

/// `transfer-refused`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TransferRefused {
    /// The command that asked.
    pub request_id: Uuid,
    /// Why.
    pub refusal: Refusal,
}

/// `transfer-confirmed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TransferConfirmed {
    /// The command that asked.
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

/// `transfer-expired`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TransferExpired {
    /// The command that asked.
    pub request_id: Uuid,
    /// As the chain would show it, `0x…`.
    pub tx_hash: String,
    /// The height that was seen without it.
    pub block_index: u32,
    /// Why a node refused it, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `transfer-request-expired`. A signature that was made but never reported may still be used outside until the last
/// block has passed; only then is it certain that nothing moves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TransferRequestExpired {
    /// The command that asked.
    pub request_id: Uuid,
    /// As the chain would show it, `0x…`.
    pub tx_hash: String,
    /// The last block that may hold it.
    pub valid_until_block: u32,
    /// The deadline that passed, Unix ms.
    pub sign_by_ms: UnixMs,
}
