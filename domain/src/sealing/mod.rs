//! The log's sealing keys, one after another: each founded by order of the operators' quorum, recorded with its shares.

mod record_key;

use nsl_schemas::command::sealing::SealingCommand;
use nsl_schemas::event::sealing::SealingEvent;
use serde::{Deserialize, Serialize};

use crate::decision::{Order, Rejection, host_aggregate};

/// The state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sealing {
    /// Of the newest key; 0 where there is none.
    epoch: u32,
}

host_aggregate!(Sealing, "sealing", SealingCommand, SealingEvent);

impl Sealing {
    /// Of the state's serialised form and meaning: raised with every change to either, or to what `evolve` makes of an
    /// event. A snapshot of another version is never taken.
    pub const STATE_VERSION: u32 = 1;

    /// Decides a command.
    pub fn decide(&self, order: &Order<SealingCommand>) -> Result<Vec<SealingEvent>, Rejection> {
        match &order.body {
            SealingCommand::RecordKey(command) => self.record_key(order, command),
        }
    }

    /// Applies a recorded event.
    pub fn evolve(&mut self, event: SealingEvent) {
        match event {
            SealingEvent::SealingKeyFounded(event) => {
                self.epoch = event.record.statement.order.statement.epoch;
            }
        }
    }
}

#[cfg(test)]
mod tests;
