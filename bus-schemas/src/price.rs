//! Market data: observations as they flow, rules and judged rounds as the log keeps them, the price message.

use serde::{Deserialize, Serialize};

use crate::number::PriceE8;
use crate::token::{Pair, Venue};

/// Most observations in a round: one a venue, with room to grow.
pub const OBSERVATIONS_MAX: usize = 32;

/// One venue's price at one time, on `nsl.v1.tick.<venue>.<pair>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Observation {
    /// Who says so.
    pub venue: Venue,
    /// Last traded or index price.
    pub price_e8: PriceE8,
    /// Best bid, where the venue tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bid_e8: Option<PriceE8>,
    /// Best ask, where the venue tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ask_e8: Option<PriceE8>,
    /// The venue's own time, or the time of the answer where it tells none, Unix ms.
    #[serde(deserialize_with = "crate::number::below_2_pow_53")]
    pub observed_at_ms: u64,
}

/// How a feed judges rounds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FeedRules {
    /// Fewest accepted observations of a round.
    pub sources_min: u8,
    /// Oldest acceptable observation at the round's time.
    #[serde(deserialize_with = "crate::number::below_2_pow_53")]
    pub age_max_ms: u64,
    /// How far an observation may lie from the median, in basis points, whatever the spread of the others.
    pub deviation_floor_bps: u32,
    /// Lowest believable price.
    pub price_min_e8: PriceE8,
    /// Highest believable price.
    pub price_max_e8: PriceE8,
}

/// What became of an observation in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Verdict {
    /// It counts.
    Accepted,
    /// Outside of the believable prices.
    OutOfBounds,
    /// Bid above ask, or price not between believable quotes.
    CrossedQuote,
    /// Too old at the round's time.
    Stale,
    /// From after the round's time.
    FromTheFuture,
    /// Too far from the median.
    Outlier,
}

/// An observation with its verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct JudgedObservation {
    /// The input.
    pub observation: Observation,
    /// What became of it.
    pub verdict: Verdict,
}

/// The message on `nsl.v1.price.<pair>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PriceMessage {
    /// The pair.
    pub pair: Pair,
    /// Its round.
    #[serde(deserialize_with = "crate::number::below_2_pow_53")]
    pub round: u64,
    /// The price.
    pub price_e8: PriceE8,
    /// The largest distance of an accepted observation from the price.
    pub confidence_e8: PriceE8,
    /// The time for which it holds, Unix ms.
    #[serde(deserialize_with = "crate::number::below_2_pow_53")]
    pub as_of_ms: u64,
    /// How long a reader may trust it after that.
    #[serde(deserialize_with = "crate::number::below_2_pow_53")]
    pub age_max_ms: u64,
    /// The venues that counted.
    pub sources: Vec<Venue>,
    /// The event that proves it.
    #[serde(deserialize_with = "crate::number::below_2_pow_53")]
    pub position: u64,
}
