//! Process managers: what follows from events over time, as data for a shell to carry out.
//!
//! A process is the life of one request, named by it. Its state says all that it waits for: a job, published until it is
//! answered, and a deadline, at which a command is sent. So effects need no list of their own to be kept in step: a fold
//! of the log makes every state again, and a replay carries out nothing. Pure: the only times are those that events
//! carry; whatever is done twice has the same id.

mod change_policy;
mod create_wallet;
pub mod job;
#[cfg(test)]
mod tests;
mod transfer;

use nsl_schemas::event::wallet::WalletEvent;
use nsl_schemas::job::{ENCLAVE_KINDS, SUBMIT_KIND};
use nsl_schemas::number::UnixMs;
use nsl_schemas::subject::CommandSubject;
use nsl_schemas::token::{self, AggregateId, Tenant};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use job::{Cause, Job, job};

/// What a request waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum State {
    /// A worker makes the wallet's key.
    CreatingKey,
    /// A worker seals the key under another policy.
    ReplacingPolicy,
    /// A worker signs the transfer.
    Signing {
        /// When the request may be given up; absent where it is from before there were deadlines.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sign_by_ms: Option<UnixMs>,
    },
    /// The relay gets the transfer into a block, or sees its last one pass: that deadline is a height, and the relay's.
    Submitting,
    /// Nothing. No event leads out of it.
    Over,
}

impl State {
    /// The kind of the job that is published until the state is left. The event that led here asks for it; see [`job()`].
    pub fn job_kind(self) -> Option<&'static str> {
        let [create_key, replace_policy, sign_transfer] = ENCLAVE_KINDS;
        match self {
            Self::CreatingKey => Some(create_key),
            Self::ReplacingPolicy => Some(replace_policy),
            Self::Signing { .. } => Some(sign_transfer),
            Self::Submitting => Some(SUBMIT_KIND),
            Self::Over => None,
        }
    }

    /// When, in Unix ms, [`on_deadline`]'s command is due, unless the state is left before.
    pub fn due_ms(self) -> Option<u64> {
        match self {
            Self::Signing { sign_by_ms } => sign_by_ms.map(transfer::due_ms),
            Self::CreatingKey | Self::ReplacingPolicy | Self::Submitting | Self::Over => None,
        }
    }
}

/// The request whose process an event belongs to.
pub fn request_id(event: &WalletEvent) -> Uuid {
    match event {
        WalletEvent::CreationRequested(event) => event.request_id,
        WalletEvent::KeyCreated(event) => event.request_id,
        WalletEvent::CreationRefused(event) => event.request_id,
        WalletEvent::PolicyChangeRequested(event) => event.request_id,
        WalletEvent::PolicyChanged(event) => event.request_id,
        WalletEvent::PolicyChangeRefused(event) => event.request_id,
        WalletEvent::TransferRequested(event) => event.request_id,
        WalletEvent::TransferSigned(event) => event.request_id,
        WalletEvent::TransferRefused(event) => event.request_id,
        WalletEvent::TransferConfirmed(event) => event.request_id,
        WalletEvent::TransferExpired(event) => event.request_id,
        WalletEvent::TransferRequestExpired(event) => event.request_id,
    }
}

/// Whether a process begins with `event`: there is no state before it.
pub fn begins(event: &WalletEvent) -> bool {
    react(None, event).is_some()
}

/// The state of the event's process after it, from the one before it; `None` as long as there was no request.
pub fn react(before: Option<State>, event: &WalletEvent) -> Option<State> {
    match event {
        WalletEvent::CreationRequested(_) | WalletEvent::KeyCreated(_) | WalletEvent::CreationRefused(_) => {
            create_wallet::react(before, event)
        }
        WalletEvent::PolicyChangeRequested(_)
        | WalletEvent::PolicyChanged(_)
        | WalletEvent::PolicyChangeRefused(_) => change_policy::react(before, event),
        WalletEvent::TransferRequested(_)
        | WalletEvent::TransferSigned(_)
        | WalletEvent::TransferRefused(_)
        | WalletEvent::TransferConfirmed(_)
        | WalletEvent::TransferExpired(_)
        | WalletEvent::TransferRequestExpired(_) => transfer::react(before, event),
    }
}

/// A command that a process sends. Its id follows from request, process and step: sent again it is the same command, and
/// hears the first one's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Its id.
    pub id: Uuid,
    /// Its subject.
    pub subject: CommandSubject,
    /// Its payload.
    pub payload: String,
}

/// The command that is due when the deadline of `state` has passed; `None` where it has none.
pub fn on_deadline(
    state: State,
    request_id: Uuid,
    tenant: &Tenant,
    wallet: &AggregateId,
) -> Result<Option<Command>, token::Error> {
    match state {
        State::Signing { sign_by_ms: Some(_) } => transfer::expire(request_id, tenant, wallet).map(Some),
        State::Signing { sign_by_ms: None }
        | State::CreatingKey
        | State::ReplacingPolicy
        | State::Submitting
        | State::Over => Ok(None),
    }
}
