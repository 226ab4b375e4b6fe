//! A wallet's signing policy as it is written, hashed and signed; `nsl-policy` evaluates it.

mod counters;
mod request;
mod rules;

pub use counters::{AssetWindow, Counters, Window};
pub use request::{RequestCancellation, TransferApproval};
pub use rules::{
    AMOUNT_WINDOWS_MAX, APPROVAL_SECONDS_MAX, AmountWindow, ApprovalRule, CONTRACTS_MAX, ContractRule,
    CountingRules, LastBlockRule, METHOD_BYTES_MAX, METHODS_MAX, POLICY_DELAY_SECONDS_MAX, Rules, SCOPES_MAX,
    SignatureWindow, TRANSFER_DELAY_SECONDS_MAX, TimeLocks, TransferLock, WINDOW_SECONDS_MAX,
    WINDOW_SECONDS_MIN, WitnessScope,
};

use serde::{Deserialize, Serialize};

use crate::authority::{Quorum, Statement};
use crate::bytes::Sha256;
use crate::canonical;
use crate::number::{Amount, Datoshi};
use crate::token::{AggregateId, Tenant};

/// Most assets a policy lists.
pub const ASSETS_MAX: usize = 32;
/// Most recipients a policy lists.
pub const RECIPIENTS_MAX: usize = 256;

/// What a wallet may sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Policy {
    /// The owners whose quorum may replace this policy.
    pub owners: Quorum,
    /// The Neo network the wallet signs for, by magic number.
    pub network_magic: u32,
    /// The only assets that may move, each with its bound.
    pub assets: Vec<AssetRule>,
    /// The only addresses that may receive; absent means any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipients: Option<Vec<String>>,
    /// Most that system and network fee may be together.
    pub fee_max_datoshi: Datoshi,
    /// What is demanded beyond these bounds. Left out while empty: a policy from before there were such rules keeps its
    /// bytes and its hash.
    #[serde(default, skip_serializing_if = "Rules::is_empty")]
    pub rules: Rules,
}

/// The bound of one asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AssetRule {
    /// The NEP-17 contract's script hash, as `0x…`.
    pub asset: String,
    /// Most that one transaction may move, in the token's smallest unit.
    pub amount_max: Amount,
}

impl Policy {
    /// The hash that sealed keys and certificates are bound to.
    pub fn sha256(&self) -> Sha256 {
        canonical::sha256(self)
    }

    /// Whether it has a rule that counts over transactions; such a policy is used in withheld mode alone (D10).
    pub fn counts(&self) -> bool {
        self.rules.counting.is_some()
    }
}

/// What the owners of the present policy sign to replace it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PolicyChange {
    /// Whose wallet.
    pub tenant: Tenant,
    /// Which wallet.
    pub wallet: AggregateId,
    /// The hash of the policy that ends; a change cannot be replayed over another one.
    pub previous_sha256: Sha256,
    /// The policy that begins.
    pub policy: Policy,
}

impl Statement for PolicyChange {
    const TAG: &'static str = "nsl-policy-change-v1";
}
