//! A price feed: rounds whose price follows from the observations that they carry (D14).

mod judge;
mod record_round;
mod register;

use nsl_schemas::command::price_feed::PriceFeedCommand;
use nsl_schemas::event::price_feed::PriceFeedEvent;
use nsl_schemas::price::FeedRules;
use serde::{Deserialize, Serialize};

use crate::decision::{Order, Rejection, host_aggregate};

pub use judge::{Judgement, judge};

/// The state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PriceFeed {
    rules: Option<FeedRules>,
    last_round: u64,
    last_as_of_ms: u64,
}

host_aggregate!(PriceFeed, "price-feed", PriceFeedCommand, PriceFeedEvent);

impl PriceFeed {
    /// Of the state's serialised form and meaning: raised with every change to either, or to what `evolve` makes of an
    /// event. A snapshot of another version is never taken.
    pub const STATE_VERSION: u32 = 1;

    /// Decides a command.
    pub fn decide(&self, order: &Order<PriceFeedCommand>) -> Result<Vec<PriceFeedEvent>, Rejection> {
        match &order.body {
            PriceFeedCommand::Register(command) => self.register(command),
            PriceFeedCommand::RecordRound(command) => self.record_round(order, command),
        }
    }

    /// Applies a recorded event.
    pub fn evolve(&mut self, event: PriceFeedEvent) {
        match event {
            PriceFeedEvent::FeedRegistered(event) => self.rules = Some(event.rules),
            PriceFeedEvent::RoundRecorded(event) => {
                self.last_round = event.round;
                self.last_as_of_ms = event.as_of_ms;
            }
        }
    }
}

#[cfg(test)]
mod tests;
