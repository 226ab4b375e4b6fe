//! Process managers: what follows from events over time, as data for a shell to carry out.
//!
//! A process is the life of one request, named by it. Its state says all that it waits for: a job, published until it is
//! answered, and a deadline, at which a command is sent. So effects need no list of their own to be kept in step: a fold
//! of the log makes every state again, and a replay carries out nothing. Pure: the only times are those that events
//! carry; whatever is done twice has the same id.

mod change_policy;
mod create_wallet;
mod event;
pub mod job;
mod reseal_key;
mod secret;
#[cfg(test)]
mod tests;
mod transfer;

use nsl_schemas::envelope::CLOCK_SKEW_MS_MAX;
use nsl_schemas::event::wallet::WalletEvent;
use nsl_schemas::job::{ENCLAVE_KINDS, SUBMIT_KIND};
use nsl_schemas::number::UnixMs;
use nsl_schemas::subject::CommandSubject;
use nsl_schemas::token::{self, AggregateId, Tenant};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use event::{AGGREGATES, ProcessEvent};
pub use job::{Cause, Job, job};
pub use secret::job as secret_job;

/// What a request waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum State {
    /// A worker makes the wallet's key.
    CreatingKey,
    /// A worker seals the key under another policy.
    ReplacingPolicy {
        /// From when: a time lock may hold it back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        not_before_ms: Option<UnixMs>,
    },
    /// A worker seals the key with another sealing key.
    ResealingKey,
    /// Approvers let the transfer be signed.
    AwaitingApprovals {
        /// From when it may be signed then: a time lock may hold it back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        not_before_ms: Option<UnixMs>,
        /// As in [`State::Signing`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sign_by_ms: Option<UnixMs>,
    },
    /// A worker reserves for the transfer, whose wallet's policy counts.
    Reserving {
        /// As in [`State::Signing`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        not_before_ms: Option<UnixMs>,
        /// As in [`State::Signing`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sign_by_ms: Option<UnixMs>,
    },
    /// A worker signs the transfer.
    Signing {
        /// From when: a time lock may hold it back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        not_before_ms: Option<UnixMs>,
        /// When the request may be given up; absent where it is from before there were deadlines.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sign_by_ms: Option<UnixMs>,
    },
    /// A worker seals a version of a secret.
    SealingSecret {
        /// When the request may be given up.
        answer_by_ms: UnixMs,
    },
    /// A worker seals a secret to its readers.
    RevealingSecret {
        /// When the request may be given up.
        answer_by_ms: UnixMs,
    },
    /// The relay gets the transfer into a block, or sees its last one pass: that deadline is a height, and the relay's.
    Submitting,
    /// Nothing. No event leads out of it.
    Over,
}

impl State {
    /// The kind of the job that is published until the state is left; see [`job()`]. While a wallet's policy is replaced by
    /// one that counts, or by one that does not, a transfer's job is of the kind that the policy in force asks for.
    pub fn job_kind(self) -> Option<&'static str> {
        let [create_key, replace_policy, reserve_transfer, sign_transfer, seal_secret, reveal_secret] =
            ENCLAVE_KINDS;
        match self {
            Self::CreatingKey => Some(create_key),
            Self::ReplacingPolicy { .. } | Self::ResealingKey => Some(replace_policy),
            Self::Reserving { .. } => Some(reserve_transfer),
            Self::Signing { .. } => Some(sign_transfer),
            Self::SealingSecret { .. } => Some(seal_secret),
            Self::RevealingSecret { .. } => Some(reveal_secret),
            Self::Submitting => Some(SUBMIT_KIND),
            Self::AwaitingApprovals { .. } | Self::Over => None,
        }
    }

    /// From when, in Unix ms, the job is published; `None` where nothing holds it back. Workers tell the time by another
    /// clock, so it is a skew later than the lock ends: one that finds it too early would say so.
    pub fn job_from_ms(self) -> Option<u64> {
        match self {
            Self::ReplacingPolicy { not_before_ms }
            | Self::Reserving { not_before_ms, .. }
            | Self::Signing { not_before_ms, .. } => {
                not_before_ms.map(|not_before_ms| not_before_ms.0.saturating_add(CLOCK_SKEW_MS_MAX))
            }
            Self::CreatingKey
            | Self::ResealingKey
            | Self::AwaitingApprovals { .. }
            | Self::SealingSecret { .. }
            | Self::RevealingSecret { .. }
            | Self::Submitting
            | Self::Over => None,
        }
    }

    /// Whether the state's job is asked for by the request's own event, not by the one that led to the state: whoever
    /// approves a transfer does not become the one who asked for it.
    pub fn is_asked_by_request(self) -> bool {
        match self {
            Self::CreatingKey
            | Self::ReplacingPolicy { .. }
            | Self::ResealingKey
            | Self::AwaitingApprovals { .. }
            | Self::Reserving { .. }
            | Self::Signing { .. }
            | Self::SealingSecret { .. }
            | Self::RevealingSecret { .. } => true,
            Self::Submitting | Self::Over => false,
        }
    }

    /// When, in Unix ms, [`on_deadline`]'s command is due, unless the state is left before.
    pub fn due_ms(self) -> Option<u64> {
        match self {
            Self::AwaitingApprovals { sign_by_ms, .. }
            | Self::Reserving { sign_by_ms, .. }
            | Self::Signing { sign_by_ms, .. } => sign_by_ms.map(due_ms),
            Self::SealingSecret { answer_by_ms } | Self::RevealingSecret { answer_by_ms } => {
                Some(due_ms(answer_by_ms))
            }
            Self::CreatingKey
            | Self::ReplacingPolicy { .. }
            | Self::ResealingKey
            | Self::Submitting
            | Self::Over => None,
        }
    }
}

/// When the command of a deadline is sent. A processor takes no command that was issued further ahead of its own clock than
/// the skew, so one that is issued now finds the deadline passed wherever it is decided. It must: a rejection would be this
/// command's answer for ever.
fn due_ms(deadline_ms: UnixMs) -> u64 {
    deadline_ms.0.saturating_add(CLOCK_SKEW_MS_MAX)
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
        WalletEvent::PolicyChangeCancelled(event) => event.request_id,
        WalletEvent::KeyResealRequested(event) => event.request_id,
        WalletEvent::KeyResealed(event) => event.request_id,
        WalletEvent::KeyResealRefused(event) => event.request_id,
        WalletEvent::TransferRequested(event) => event.request_id,
        WalletEvent::TransferApproved(event) => event.request_id,
        WalletEvent::TransferCancelled(event) => event.request_id,
        WalletEvent::TransferReserved(event) => event.request_id,
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
        | WalletEvent::PolicyChangeRefused(_)
        | WalletEvent::PolicyChangeCancelled(_) => change_policy::react(before, event),
        WalletEvent::KeyResealRequested(_)
        | WalletEvent::KeyResealed(_)
        | WalletEvent::KeyResealRefused(_) => reseal_key::react(before, event),
        WalletEvent::TransferRequested(_)
        | WalletEvent::TransferApproved(_)
        | WalletEvent::TransferCancelled(_)
        | WalletEvent::TransferReserved(_)
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
    id: &AggregateId,
) -> Result<Option<Command>, token::Error> {
    match state {
        State::AwaitingApprovals { sign_by_ms: Some(_), .. }
        | State::Reserving { sign_by_ms: Some(_), .. }
        | State::Signing { sign_by_ms: Some(_), .. } => transfer::expire(request_id, tenant, id).map(Some),
        State::SealingSecret { .. } | State::RevealingSecret { .. } => {
            secret::expire(request_id, tenant, id).map(Some)
        }
        State::AwaitingApprovals { sign_by_ms: None, .. }
        | State::Reserving { sign_by_ms: None, .. }
        | State::Signing { sign_by_ms: None, .. }
        | State::CreatingKey
        | State::ReplacingPolicy { .. }
        | State::ResealingKey
        | State::Submitting
        | State::Over => Ok(None),
    }
}
