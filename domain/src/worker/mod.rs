//! One life of an enclave-worker process: registered once, by a document that a measured worker's NSM signed.

mod register;

use nsl_schemas::command::worker::WorkerCommand;
use nsl_schemas::event::worker::WorkerEvent;
pub use nsl_schemas::ids::worker_id;
use nsl_schemas::nkey::PublicKey;
use serde::{Deserialize, Serialize};

use crate::decision::{Order, Rejection, host_aggregate};

/// The state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Worker {
    key: Option<PublicKey>,
}

host_aggregate!(Worker, "worker", WorkerCommand, WorkerEvent);

impl Worker {
    /// Of the state's serialised form and meaning: raised with every change to either, or to what `evolve` makes of an
    /// event. A snapshot of another version is never taken.
    pub const STATE_VERSION: u32 = 1;

    /// Decides a command.
    pub fn decide(&self, order: &Order<WorkerCommand>) -> Result<Vec<WorkerEvent>, Rejection> {
        match &order.body {
            WorkerCommand::Register(command) => self.register(order, command),
        }
    }

    /// Applies a recorded event.
    pub fn evolve(&mut self, event: WorkerEvent) {
        match event {
            WorkerEvent::WorkerRegistered(event) => self.key = Some(event.key),
        }
    }
}

#[cfg(test)]
mod tests;
