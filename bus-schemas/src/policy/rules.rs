//! The rules beyond the bounds that every policy has. Each may be absent, and then demands nothing; a list that is given
//! forbids what it does not name.

use serde::{Deserialize, Serialize};

use super::AssetRule;
use crate::authority::Quorum;
use crate::number::Amount;

/// Most contracts a policy lists: as many as assets.
pub const CONTRACTS_MAX: usize = super::ASSETS_MAX;
/// Most methods of one contract: more than any standard of Neo has.
pub const METHODS_MAX: usize = 16;
/// Longest name of a method; names in use are far shorter.
pub const METHOD_BYTES_MAX: usize = 64;
/// Most witness scopes: as many as there are.
pub const SCOPES_MAX: usize = 6;
/// Longest time for approvals: a Neo transaction can be valid for a day and no longer.
pub const APPROVAL_SECONDS_MAX: u32 = 24 * 60 * 60;
/// Longest delay of a transfer, for the same reason.
pub const TRANSFER_DELAY_SECONDS_MAX: u32 = 24 * 60 * 60;
/// Longest delay of a change of policy: a slip of three zeros must not lock a wallet for life.
pub const POLICY_DELAY_SECONDS_MAX: u32 = 90 * 24 * 60 * 60;
/// Most windows of amounts: they travel with every reservation, so they are few (about 12 KiB at the most).
pub const AMOUNT_WINDOWS_MAX: usize = 8;
/// Shortest window: below a minute a clock's error is no longer small beside it.
pub const WINDOW_SECONDS_MIN: u32 = 60;
/// Longest window: a year with its leap day.
pub const WINDOW_SECONDS_MAX: u32 = 366 * 24 * 60 * 60;

/// Every rule that a policy may have beyond its bounds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Rules {
    /// Transfers that others than the issuer must approve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approvals: Option<ApprovalRule>,
    /// The only contracts that may be called, each with its methods; absent means any that the assets allow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contracts: Option<Vec<ContractRule>>,
    /// Rules that count over transactions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counting: Option<CountingRules>,
    /// How far ahead a transaction may be valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_block: Option<LastBlockRule>,
    /// The only scopes that the wallet's witness may have; absent means whichever a transaction of ours has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<WitnessScope>>,
    /// What takes effect only after a delay, in which an owner may cancel it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_locks: Option<TimeLocks>,
}

impl Rules {
    /// Whether nothing is demanded.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A quorum of approvers, each with a key of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ApprovalRule {
    /// How many of which keys.
    pub approvers: Quorum,
    /// Up to these amounts a transfer needs no approval; an asset that is not listed always does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub free: Vec<AssetRule>,
    /// How long a request waits for its approvals.
    pub within_seconds: u32,
}

/// A contract that may be called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ContractRule {
    /// Its script hash, as `0x…`.
    pub contract: String,
    /// The only methods.
    pub methods: Vec<String>,
}

/// How far ahead of the chain a transaction's last block may lie. A worker knows the time but no height, so the height is
/// bounded by time: no chain makes blocks faster than its `block_ms`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LastBlockRule {
    /// Most blocks between the highest that may exist at a request's time and the last that may hold its transaction.
    pub ahead_max: u32,
    /// Shortest time between blocks.
    pub block_ms: u32,
    /// A block of the chain.
    pub known_block: u32,
    /// That block's time, Unix ms.
    #[serde(deserialize_with = "crate::number::below_2_pow_53")]
    pub known_block_ms: u64,
}

/// Where a witness counts, by the names that Neo gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum WitnessScope {
    /// Nowhere: it only pays fees.
    None,
    /// In the entry script and the contracts that it calls.
    CalledByEntry,
    /// In named contracts.
    CustomContracts,
    /// In contracts of named groups.
    CustomGroups,
    /// Where a rule of its own says so.
    WitnessRules,
    /// Everywhere.
    Global,
}

/// Delays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TimeLocks {
    /// Of a change of this policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_change_seconds: Option<u32>,
    /// Of transfers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfer: Option<TransferLock>,
}

/// The delay of transfers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TransferLock {
    /// How long.
    pub delay_seconds: u32,
    /// Up to these amounts a transfer is not delayed; an asset that is not listed always is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub free: Vec<AssetRule>,
}

/// Rules that count over transactions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CountingRules {
    /// Sums within sliding windows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub amounts: Vec<AmountWindow>,
    /// Signatures within a sliding window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signatures: Option<SignatureWindow>,
    /// Most signatures in the wallet's whole life; one that has made them signs no more until its owners allow more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signatures_in_all_max: Option<u32>,
}

/// Most of one asset within a sliding window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AmountWindow {
    /// Most that may move in it, in the token's smallest unit.
    pub amount_max: Amount,
    /// The NEP-17 contract's script hash, as `0x…`.
    pub asset: String,
    /// How long it is.
    pub window_seconds: u32,
}

/// Most signatures within a sliding window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SignatureWindow {
    /// Most signatures.
    pub count_max: u32,
    /// How long it is.
    pub window_seconds: u32,
}
