//! What follows from an event, as data: jobs with ids derived from the event, for a shell to publish. A replay computes
//! the same and drops them.

use nsl_schemas::authority::GrantChain;
use nsl_schemas::envelope::SignedCommand;
use nsl_schemas::event::wallet::WalletEvent;
use nsl_schemas::ids;
use nsl_schemas::job::{ENCLAVE_KINDS, EnclaveJob, EnclaveTask, SUBMIT_KIND, SubmitJob};
use nsl_schemas::token::{AggregateId, Tenant};
use uuid::Uuid;

use crate::wallet::Wallet;

/// Work that an event asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Job {
    /// For the enclave pool.
    Enclave(Box<EnclaveJob>),
    /// For the chain relay.
    Submit(SubmitJob),
}

/// What an event means for the open work of a wallet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Work of `kind` begins for `request_id`.
    Opens {
        /// The client's command.
        request_id: Uuid,
        /// The job's kind.
        kind: &'static str,
    },
    /// Work of `kind` for `request_id` is done.
    Closes {
        /// The client's command.
        request_id: Uuid,
        /// The job's kind.
        kind: &'static str,
    },
}

/// What `event` does to the wallet's open work, in order.
pub fn effects(event: &WalletEvent) -> Vec<Effect> {
    let [create_key, replace_policy, sign_transfer] = ENCLAVE_KINDS;
    let opens = |request_id, kind| Effect::Opens { request_id, kind };
    let closes = |request_id, kind| Effect::Closes { request_id, kind };
    match event {
        WalletEvent::CreationRequested(event) => vec![opens(event.request_id, create_key)],
        WalletEvent::KeyCreated(event) => vec![closes(event.request_id, create_key)],
        WalletEvent::CreationRefused(event) => vec![closes(event.request_id, create_key)],
        WalletEvent::PolicyChangeRequested(event) => vec![opens(event.request_id, replace_policy)],
        WalletEvent::PolicyChanged(event) => vec![closes(event.request_id, replace_policy)],
        WalletEvent::PolicyChangeRefused(event) => vec![closes(event.request_id, replace_policy)],
        WalletEvent::TransferRequested(event) => vec![opens(event.request_id, sign_transfer)],
        WalletEvent::TransferSigned(event) => {
            vec![closes(event.request_id, sign_transfer), opens(event.request_id, SUBMIT_KIND)]
        }
        WalletEvent::TransferRefused(event) => vec![closes(event.request_id, sign_transfer)],
        WalletEvent::TransferConfirmed(event) => vec![closes(event.request_id, SUBMIT_KIND)],
        WalletEvent::TransferExpired(event) => vec![closes(event.request_id, SUBMIT_KIND)],
    }
}

/// Where an event stands and what caused it.
#[derive(Debug, Clone, Copy)]
pub struct Cause<'a> {
    /// Whose wallet.
    pub tenant: &'a Tenant,
    /// Which wallet.
    pub wallet: &'a AggregateId,
    /// The event's id.
    pub event_id: Uuid,
    /// The command whose event it is.
    pub command: &'a SignedCommand,
    /// Why its issuer may issue it; `None` for the services' own reports, which ask for no enclave work.
    pub authority: Option<&'a GrantChain>,
}

/// The job that `event` asks for. `wallet` is the state in force: workers sign by the newest policy, not by the one at
/// the time of the request.
pub fn job(event: &WalletEvent, wallet: &Wallet, cause: Cause<'_>) -> Option<Job> {
    let task = match event {
        WalletEvent::CreationRequested(_) => EnclaveTask::CreateKey,
        WalletEvent::PolicyChangeRequested(_) => {
            let (sealed_key, policy) = wallet.signing_state()?;
            EnclaveTask::ReplacePolicy { sealed_key: sealed_key.clone(), policy: policy.clone() }
        }
        WalletEvent::TransferRequested(_) => {
            let (sealed_key, policy) = wallet.signing_state()?;
            EnclaveTask::SignTransfer { sealed_key: sealed_key.clone(), policy: policy.clone() }
        }
        WalletEvent::TransferSigned(event) => {
            return Some(Job::Submit(SubmitJob {
                job_id: ids::job_id(cause.event_id),
                tenant: cause.tenant.clone(),
                wallet: cause.wallet.clone(),
                request_id: event.request_id,
                tx_hash: event.tx_hash.clone(),
                valid_until_block: event.valid_until_block,
                transaction: event.transaction.clone(),
            }));
        }
        WalletEvent::KeyCreated(_)
        | WalletEvent::CreationRefused(_)
        | WalletEvent::PolicyChanged(_)
        | WalletEvent::PolicyChangeRefused(_)
        | WalletEvent::TransferRefused(_)
        | WalletEvent::TransferConfirmed(_)
        | WalletEvent::TransferExpired(_) => return None,
    };
    Some(Job::Enclave(Box::new(EnclaveJob {
        job_id: ids::job_id(cause.event_id),
        command: cause.command.clone(),
        authority: cause.authority?.clone(),
        task,
    })))
}

#[cfg(test)]
mod tests;
