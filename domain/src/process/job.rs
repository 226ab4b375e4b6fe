//! The job that an event asks for, as data, with an id derived from the event. A replay computes the same and drops it.

use nsl_schemas::authority::GrantChain;
use nsl_schemas::envelope::SignedCommand;
use nsl_schemas::event::wallet::WalletEvent;
use nsl_schemas::ids;
use nsl_schemas::job::{EnclaveJob, EnclaveTask, SubmitJob};
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

/// Where an event stands and what caused it.
#[derive(Debug, Clone, Copy)]
pub struct Cause<'a> {
    /// Whose wallet or secret.
    pub tenant: &'a Tenant,
    /// Which of them.
    pub id: &'a AggregateId,
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
        WalletEvent::PolicyChangeRequested(_) | WalletEvent::KeyResealRequested(_) => {
            let (sealed_key, policy) = wallet.signing_state()?;
            EnclaveTask::ReplacePolicy { sealed_key: sealed_key.clone(), policy: policy.clone() }
        }
        WalletEvent::TransferRequested(event) => transfer_task(wallet, event.request_id)?,
        WalletEvent::TransferSigned(event) => {
            return Some(Job::Submit(SubmitJob {
                job_id: ids::job_id(cause.event_id),
                tenant: cause.tenant.clone(),
                wallet: cause.id.clone(),
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
        | WalletEvent::PolicyChangeCancelled(_)
        | WalletEvent::TransferApproved(_)
        | WalletEvent::TransferCancelled(_)
        | WalletEvent::TransferReserved(_)
        | WalletEvent::KeyResealed(_)
        | WalletEvent::KeyResealRefused(_)
        | WalletEvent::TransferRefused(_)
        | WalletEvent::TransferConfirmed(_)
        | WalletEvent::TransferExpired(_)
        | WalletEvent::TransferRequestExpired(_) => return None,
    };
    Some(Job::Enclave(Box::new(EnclaveJob {
        job_id: task.job_id(cause.event_id),
        command: cause.command.clone(),
        authority: cause.authority?.clone(),
        task,
    })))
}

/// What a worker has to do for a transfer now: by the policy in force, not by that of the request.
pub(crate) fn transfer_task(wallet: &Wallet, request_id: Uuid) -> Option<EnclaveTask> {
    let (sealed_key, policy) = wallet.signing_state()?;
    let (sealed_key, policy) = (sealed_key.clone(), policy.clone());
    let approvals = wallet.approvals(request_id).to_vec();
    let reservation = wallet.reservation(request_id).filter(|_| policy.counts()).cloned();
    Some(if policy.counts() && reservation.is_none() {
        let last = wallet.last_reservation().cloned();
        EnclaveTask::ReserveTransfer { approvals, last, sealed_key, policy }
    } else {
        EnclaveTask::SignTransfer { approvals, reservation, sealed_key, policy }
    })
}

#[cfg(test)]
mod tests;
