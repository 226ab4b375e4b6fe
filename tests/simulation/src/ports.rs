//! The processor's ports to clients and to the bus. What goes out is checked against the log at that moment.

use std::sync::Arc;

use nsl_commands::intake::Refused;
use nsl_commands::ports::{Delivery, Outbox};
use nsl_schemas::errors;
use nsl_schemas::result::{Answer, CommandResult};
use nsl_schemas::token::Tenant;

use crate::ledger::Request;
use crate::life::{Life, Tenure};
use crate::planted::Planted;
use crate::world::World;

/// Refusals that time and other commands do not change.
const FINAL: [&str; 2] = [errors::COMMAND_EXPIRED.code, errors::PAYLOAD_INVALID.code];

/// To clients.
pub(crate) struct SimulatedOutbox {
    pub(crate) world: Arc<World>,
    pub(crate) life: Arc<Life>,
}

impl Outbox for SimulatedOutbox {
    async fn result(&self, _: &Tenant, result: &CommandResult) {
        self.life.failpoint(&self.world, "before an answer").await;
        let world = &self.world;
        world.note(format_args!("{} answers {} {:?}", self.life.name, result.command_id, result.answer));
        self.check_result(result);
        if !world.fault("answer lost", world.mix.answer_lost) {
            world.ledger().results.insert(result.command_id, result.clone());
        }
    }

    async fn refusal(&self, _: &Tenant, refused: &Refused, sequence: u64) {
        self.life.failpoint(&self.world, "before a refusal").await;
        let (Some(id), Some(hash), code) = (refused.command_id, refused.request_sha256, refused.code.code)
        else {
            return;
        };
        let (world, request) = (&self.world, (id, hash.0));
        world.note(format_args!("{} refuses {id}: {code}", self.life.name));
        let is_recorded =
            world.store().receipts.get(&id).is_some_and(|receipt| receipt.request_hash == hash.0);
        let is_owner = world.bus.partition_of(sequence).is_some_and(|partition| self.life.holds(partition));
        if is_recorded && !is_owner {
            // Frozen between its last look at the lease and the sending: no check can close that gap.
            *world.trace().observed.entry("refusals of a lost lease").or_default() += 1;
        } else if is_recorded {
            world.violated(format_args!("command {id} is recorded and was refused: {code}"));
        }
        if is_owner && FINAL.contains(&code) {
            world.ledger().refused_for_good.insert(request);
        }
        world.ledger().refusals.entry(request).or_default().insert(code);
        if !world.fault("answer lost", world.mix.answer_lost) {
            world.ledger().refused.insert(request, code);
        }
    }

    async fn head(&self, _: u64) {}
}

impl SimulatedOutbox {
    /// I1: what a client is told is in the log, in these words.
    fn check_result(&self, result: &CommandResult) {
        let id = result.command_id;
        let receipt = self.world.store().receipts.get(&id).cloned();
        let told = receipt.is_some_and(|receipt| {
            receipt.first_position == result.first_position
                && receipt.event_count == result.event_count
                && serde_json::from_str::<Answer>(&receipt.answer).is_ok_and(|answer| answer == result.answer)
        });
        if !told {
            self.world.violated(format_args!("command {id} was told a result that the log does not hold"));
        }
    }
}

/// A message that was handed out.
pub(crate) struct SimulatedDelivery {
    pub(crate) world: Arc<World>,
    pub(crate) life: Arc<Life>,
    pub(crate) request: Request,
    pub(crate) partition: u16,
    pub(crate) sequence: u64,
    pub(crate) is_repeat: bool,
    pub(crate) tenure: Arc<Tenure>,
}

impl Delivery for SimulatedDelivery {
    fn is_repeat(&self) -> bool {
        self.is_repeat
    }

    fn is_held(&self) -> bool {
        self.tenure.is_held()
    }

    fn give_up_partition(&self) {
        self.world.note(format_args!("{} gives up partition {}", self.life.name, self.partition));
        if !self.world.has(Planted::PartitionNotGivenUp) {
            self.tenure.lose();
        }
    }

    async fn acknowledge(&self) -> Result<(), async_nats::Error> {
        self.life.failpoint(&self.world, "before an acknowledgement").await;
        if self.world.fault("acknowledgement lost", self.world.mix.ack_lost) {
            return if self.world.chance(500) { Ok(()) } else { Err("connection lost".into()) };
        }
        self.take_off();
        Ok(())
    }
}

impl SimulatedDelivery {
    /// What the bus does when it hands a message out.
    pub(crate) fn delivered(&self) {
        self.world.note(format_args!("{} takes {} {}", self.life.name, self.sequence, self.request.0));
        if self.world.has(Planted::AckBeforeCommit) {
            self.take_off();
        }
    }

    /// I1: what is taken off is recorded, or its client was told that it is not.
    fn take_off(&self) {
        let (id, _) = self.request;
        self.world.bus.acknowledge(self.partition, self.sequence);
        self.world.note(format_args!("{} is done with {}", self.life.name, self.sequence));
        let is_known = self.world.store().receipts.contains_key(&id);
        if !is_known && !self.world.ledger().refusals.contains_key(&self.request) {
            self.world
                .violated(format_args!("command {id} left the bus and is neither recorded nor refused"));
        }
    }
}
