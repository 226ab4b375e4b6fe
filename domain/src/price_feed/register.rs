//! `register`: begin a feed.

use nsl_schemas::command::price_feed::Register;
use nsl_schemas::errors;
use nsl_schemas::event::price_feed::{FeedRegistered, PriceFeedEvent};
use nsl_schemas::price::OBSERVATIONS_MAX;

use super::PriceFeed;
use crate::decision::Rejection;

/// Oldest observation that a feed may accept: an hour; older is history, not a price.
const AGE_MAX_MS: u64 = 60 * 60 * 1000;
/// Widest floor: half the price; beyond it no outlier is ever refused.
const DEVIATION_FLOOR_MAX_BPS: u32 = 5_000;

impl PriceFeed {
    pub(super) fn register(&self, command: &Register) -> Result<Vec<PriceFeedEvent>, Rejection> {
        let invalid = |message: &str| Err(Rejection::new(errors::FEED_RULES_INVALID, message));
        if self.rules.is_some() {
            return Err(Rejection::new(errors::FEED_EXISTS, "the feed is registered"));
        }
        let rules = &command.rules;
        if !(1..=OBSERVATIONS_MAX).contains(&usize::from(rules.sources_min)) {
            return invalid("sources_min must be 1 to 32");
        }
        if !(1..=AGE_MAX_MS).contains(&rules.age_max_ms) {
            return invalid("age_max_ms must be 1 to 3,600,000");
        }
        if !(1..=DEVIATION_FLOOR_MAX_BPS).contains(&rules.deviation_floor_bps) {
            return invalid("deviation_floor_bps must be 1 to 5,000");
        }
        if rules.price_min_e8.0 == 0 || rules.price_min_e8 >= rules.price_max_e8 {
            return invalid("price_min_e8 must be above 0 and below price_max_e8");
        }
        Ok(vec![FeedRegistered { rules: rules.clone() }.into()])
    }
}
