//! What was counted under a policy's counting rules, as reservations carry it. `nsl-policy` counts; this is what it
//! writes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::number::{Amount, UnixMs};

/// What was counted so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Counters {
    /// One for each window of the policy.
    pub amounts: Vec<AssetWindow>,
    /// The latest time that was counted at, Unix ms.
    pub last_ms: UnixMs,
    /// Signatures in their window, where the policy has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signatures: Option<Window>,
    /// Signatures since counting began.
    pub signatures_in_all: u32,
}

/// What was reserved of one asset, in one window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AssetWindow {
    /// The NEP-17 contract, `0x…`.
    pub asset: String,
    /// In the token's smallest unit.
    pub window: Window,
}

/// What was added in a sliding window, by the beginning of its bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Window {
    /// The sum of each bucket, by its first instant.
    pub buckets: BTreeMap<UnixMs, Amount>,
    /// How long what was added counts, at least.
    pub window_seconds: u32,
}
