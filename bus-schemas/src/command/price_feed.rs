//! Commands of a `price-feed`: one currency pair.

use serde::{Deserialize, Serialize};

use super::commands;
use crate::price::{FeedRules, Observation};

commands! {
    /// What a price feed may be asked.
    PriceFeedCommand {
        /// Begin the feed.
        Register = "register",
        /// Propose a round by its inputs.
        RecordRound = "record-round",
    }
}

/// `register`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Register {
    /// How rounds are judged.
    pub rules: FeedRules,
}

/// `record-round`: the proposer names the inputs, the aggregate computes the price (D14).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RecordRound {
    /// One more than the last round.
    #[serde(deserialize_with = "crate::number::below_2_pow_53")]
    pub round: u64,
    /// The time for which the price holds, Unix ms.
    #[serde(deserialize_with = "crate::number::below_2_pow_53")]
    pub as_of_ms: u64,
    /// The latest observation of each venue.
    pub observations: Vec<Observation>,
}
