//! A secret: bytes that a client encrypts to the enclaves, and that workers seal to the readers whom its policy names.

mod destroy;
mod expire_request;
mod record_outcome;
mod reveal;
mod set_readers;
mod store;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use nsl_schemas::command::secret::SecretCommand;
use nsl_schemas::errors;
use nsl_schemas::event::secret::SecretEvent;
use nsl_schemas::job::PresentSecret;
use nsl_schemas::number::UnixMs;
use nsl_schemas::secret::SecretPolicy;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::decision::{Order, Rejection, host_aggregate};
use crate::outcome::Request;

/// Most readings of one secret that may wait for a worker: bounds the state, and the events of its end.
pub const OPEN_READINGS_MAX: usize = 16;

/// The state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Secret {
    phase: Phase,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
enum Phase {
    /// Never stored.
    #[default]
    Absent,
    /// Stored, or about to be.
    Live(Box<LiveSecret>),
    /// Ended by its owners; nothing of it is kept.
    Destroyed,
}

/// A secret that can be asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct LiveSecret {
    /// The version in force; none before the first is sealed.
    present: Option<PresentSecret>,
    /// The version that is being sealed.
    sealing: Option<Sealing>,
    /// By the ids of their requests.
    readings: BTreeMap<Uuid, OpenReading>,
}

/// A version that a worker shall seal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Sealing {
    request: Request,
    policy: SecretPolicy,
    version: u32,
    answer_by_ms: UnixMs,
    /// Whether the present version is sealed anew; a stored one rests on none.
    rests_on_present: bool,
}

/// A reading that a worker shall answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct OpenReading {
    request: Request,
    version: u32,
    answer_by_ms: UnixMs,
}

host_aggregate!(Secret, "secret", SecretCommand, SecretEvent);

impl Secret {
    /// Of the state's serialised form and meaning: raised with every change to either, or to what `evolve` makes of an
    /// event. A snapshot of another version is never taken.
    pub const STATE_VERSION: u32 = 1;

    /// Decides a command.
    pub fn decide(&self, order: &Order<SecretCommand>) -> Result<Vec<SecretEvent>, Rejection> {
        match &order.body {
            SecretCommand::Store(command) => self.store(order, command),
            SecretCommand::SetReaders(command) => self.live()?.set_readers(order, command),
            SecretCommand::Reveal(command) => self.live()?.reveal(order, command),
            SecretCommand::Destroy(command) => self.live()?.destroy(order, command),
            SecretCommand::RecordOutcome(command) => self.record_outcome(order, command),
            SecretCommand::ExpireRequest(command) => self.expire_request(order, command),
        }
    }

    fn live(&self) -> Result<&LiveSecret, Rejection> {
        match &self.phase {
            Phase::Absent => Err(Rejection::new(errors::SECRET_UNKNOWN, "there is no such secret")),
            Phase::Live(live) => Ok(live),
            Phase::Destroyed => Err(destroyed()),
        }
    }

    /// The version in force, once there is one.
    pub fn present(&self) -> Option<&PresentSecret> {
        match &self.phase {
            Phase::Live(live) => live.present.as_ref(),
            Phase::Absent | Phase::Destroyed => None,
        }
    }

    /// Applies a recorded event.
    pub fn evolve(&mut self, event: SecretEvent) {
        match (&mut self.phase, event) {
            (Phase::Destroyed, _) => {}
            (phase, SecretEvent::Destroyed(_)) => *phase = Phase::Destroyed,
            (Phase::Live(live), event) => live.evolve(event),
            (phase, event) => {
                let mut live = LiveSecret::default();
                live.evolve(event);
                *phase = Phase::Live(Box::new(live));
            }
        }
    }
}

fn destroyed() -> Rejection {
    Rejection::new(errors::SECRET_DESTROYED, "the owners ended the secret")
}

/// Until when a worker may answer what is asked now.
fn answer_by_ms<C>(order: &Order<C>) -> UnixMs {
    UnixMs(order.now_ms.saturating_add(order.facts.signing_ms))
}

impl LiveSecret {
    fn present(&self) -> Result<&PresentSecret, Rejection> {
        let missing =
            || Rejection::new(errors::SECRET_NOT_STORED, "the secret's first version is not sealed yet");
        self.present.as_ref().ok_or_else(missing)
    }

    /// The version that comes next; none follows the last that a number can hold.
    fn check_next(&self, version: u32) -> Result<(), Rejection> {
        if self.sealing.is_some() {
            return Err(Rejection::new(errors::SECRET_CHANGE_PENDING, "another version is being sealed"));
        }
        let present = self.present.as_ref().map_or(0, |present| present.sealed_secret.version);
        if present.checked_add(1) == Some(version) {
            return Ok(());
        }
        let message = format!("the version in force is {present}, so the next is not {version}");
        Err(Rejection::new(errors::SECRET_VERSION_MISMATCH, message))
    }

    fn evolve(&mut self, event: SecretEvent) {
        match event {
            SecretEvent::StoreRequested(event) => {
                self.sealing = Some(Sealing {
                    request: Request { id: event.request_id, sha256: event.request_sha256 },
                    policy: event.policy,
                    version: event.version,
                    answer_by_ms: event.answer_by_ms,
                    rests_on_present: false,
                });
            }
            SecretEvent::ReadersChangeRequested(event) => {
                self.sealing = Some(Sealing {
                    request: Request { id: event.request_id, sha256: event.request_sha256 },
                    policy: event.policy,
                    version: event.version,
                    answer_by_ms: event.answer_by_ms,
                    rests_on_present: true,
                });
            }
            SecretEvent::RevealRequested(event) => {
                let open = OpenReading {
                    request: Request { id: event.request_id, sha256: event.request_sha256 },
                    version: event.reading.statement.version,
                    answer_by_ms: event.answer_by_ms,
                };
                self.readings.insert(event.request_id, open);
            }
            SecretEvent::Sealed(event) => {
                self.sealing = None;
                self.present =
                    Some(PresentSecret { policy: event.policy, sealed_secret: event.sealed_secret });
            }
            SecretEvent::Revealed(event) => self.end(event.request_id),
            SecretEvent::RequestRefused(event) => self.end(event.request_id),
            SecretEvent::RequestEnded(event) => self.end(event.request_id),
            SecretEvent::Destroyed(_) => {}
        }
    }

    fn end(&mut self, request_id: Uuid) {
        self.sealing.take_if(|sealing| sealing.request.id == request_id);
        self.readings.remove(&request_id);
    }
}
