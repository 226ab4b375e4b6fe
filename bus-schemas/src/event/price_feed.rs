//! Events of a `price-feed`.

use serde::{Deserialize, Serialize};

use super::events;
use crate::number::PriceE8;
use crate::price::{FeedRules, JudgedObservation};

events! {
    /// What happened to a price feed.
    PriceFeedEvent of "price-feed" {
        /// The feed began.
        FeedRegistered = "feed-registered",
        /// A round was accepted.
        RoundRecorded = "round-recorded",
    }
}

/// `feed-registered`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FeedRegistered {
    /// How rounds are judged.
    pub rules: FeedRules,
}

/// `round-recorded`: the price and everything it follows from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RoundRecorded {
    /// From 1, without a gap.
    #[serde(deserialize_with = "crate::number::below_2_pow_53")]
    pub round: u64,
    /// The time for which the price holds, Unix ms.
    #[serde(deserialize_with = "crate::number::below_2_pow_53")]
    pub as_of_ms: u64,
    /// The price.
    pub price_e8: PriceE8,
    /// The largest distance of an accepted observation from the price.
    pub confidence_e8: PriceE8,
    /// Every input with its verdict.
    pub observations: Vec<JudgedObservation>,
}
