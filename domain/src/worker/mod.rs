//! One life of an enclave-worker process: registered once, by a document that a measured worker's NSM signed.

mod register;

use nsl_schemas::bytes::Sha256;
use nsl_schemas::command::worker::WorkerCommand;
use nsl_schemas::event::worker::WorkerEvent;
use nsl_schemas::nkey::PublicKey;
use nsl_schemas::token::AggregateId;
use serde::{Deserialize, Serialize};

use crate::decision::{Order, Rejection, host_aggregate};

/// The state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Worker {
    key: Option<PublicKey>,
}

host_aggregate!(Worker, "worker", WorkerCommand, WorkerEvent);

/// The id under which the worker of `key` is registered: the first 32 hex digits of the key's SHA-256.
pub fn worker_id(key: &PublicKey) -> AggregateId {
    let digest = Sha256::of(&key.0).to_string();
    AggregateId::parse(&digest[..32]).expect("hex digits are token characters")
}

impl Worker {
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
