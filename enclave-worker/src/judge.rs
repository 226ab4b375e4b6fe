//! From a job to a judged one: the worker believes nothing that it has not checked itself, and a [`JudgedJob`] is the
//! proof that it did. Pure.
//!
//! What is *not* asked is whether the command has expired: expiry bounds what is accepted as new (D5), and a command
//! that was committed may be worked on late, after an outage. Lateness cannot be abused: the grant must be in force now,
//! a transfer's own bound is `valid_until_block`, and a policy change names the policy that it ends.

use nsl_policy::ApprovedRequest;
use nsl_schemas::authority::{Operators, Signed};
use nsl_schemas::bytes::Sha256;
use nsl_schemas::command::Command;
use nsl_schemas::command::secret::{SecretCommand, Store};
use nsl_schemas::command::wallet::{RequestTransfer, ResealKey, WalletCommand};
use nsl_schemas::envelope::{self, CLOCK_SKEW_MS_MAX};
use nsl_schemas::errors;
use nsl_schemas::ids;
use nsl_schemas::job::{EnclaveJob, EnclaveTask, PresentSecret};
use nsl_schemas::outcome::{SealedKey, SealedKeyBinding};
use nsl_schemas::policy::{Policy, PolicyChange, TransferApproval};
use nsl_schemas::reservation::SealedReservation;
use nsl_schemas::secret::{ReadersChange, SecretBinding, SecretReading};
use nsl_schemas::token::{AggregateId, Tenant};
use uuid::Uuid;

use crate::chains::Chains;
use crate::refusal::{Refusal, Unavailable};

/// Whose wallet or secret the job is about, by which command, and when it was judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) genesis_sha256: Sha256,
    pub(crate) tenant: Tenant,
    /// Its id; of a secret's command, the secret's.
    pub(crate) wallet: AggregateId,
    pub(crate) command_id: Uuid,
    pub(crate) request_sha256: Sha256,
    pub(crate) issued_at_ms: u64,
    /// The NSM's time.
    pub(crate) now_ms: u64,
}

impl Subject {
    /// What the wallet's key of `version` is bound to under the policy of this hash.
    pub(crate) fn binding(&self, version: u32, policy_sha256: Sha256) -> SealedKeyBinding<'_> {
        let Self { genesis_sha256, tenant, wallet, .. } = self;
        SealedKeyBinding { genesis_sha256: *genesis_sha256, tenant, wallet, version, policy_sha256 }
    }

    /// What `version` of the secret is bound to under the policy of this hash.
    pub(crate) fn secret_binding(&self, version: u32, policy_sha256: Sha256) -> SecretBinding<'_> {
        let Self { genesis_sha256, tenant, wallet: secret, .. } = self;
        SecretBinding { genesis_sha256: *genesis_sha256, policy_sha256, secret, tenant, version }
    }

    /// The request that approvals of `transfer` must be of.
    pub(crate) fn request<'a>(&'a self, transfer: &'a RequestTransfer) -> ApprovedRequest<'a> {
        ApprovedRequest {
            genesis_sha256: self.genesis_sha256,
            tenant: &self.tenant,
            wallet: &self.wallet,
            request_id: self.command_id,
            request_sha256: self.request_sha256,
            transfer,
        }
    }

    /// Whether a lock that ends at `from_ms` holds nothing back any more. Too early is no refusal: the job is as good
    /// later.
    pub(crate) fn check_time_lock(&self, from_ms: Option<u64>) -> Result<(), Unavailable> {
        match from_ms {
            Some(from_ms) if self.now_ms < from_ms => {
                Err(Unavailable::TimeLocked { from_ms, now_ms: self.now_ms })
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// A wallet's state as the host presents it; the key opens only if it is the true one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PresentedState {
    pub(crate) sealed_key: SealedKey,
    pub(crate) policy: Policy,
}

/// What is to be done for a transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TransferWork {
    pub(crate) transfer: RequestTransfer,
    pub(crate) approvals: Vec<Signed<TransferApproval>>,
    /// The transfer's reservation, or where one is to be made the one before it.
    pub(crate) reservation: Option<SealedReservation>,
    pub(crate) state: PresentedState,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Work {
    CreateKey(Policy),
    ReplacePolicy(Signed<PolicyChange>, PresentedState),
    ResealKey(ResealKey, PresentedState),
    ReserveTransfer(TransferWork),
    SignTransfer(TransferWork),
    StoreSecret(Store),
    SetReaders(Signed<ReadersChange>, PresentSecret),
    RevealSecret(Signed<SecretReading>, PresentSecret),
}

/// A job whose command is its issuer's, whose issuer has the authority, and whose task is what the command asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JudgedJob {
    pub(crate) subject: Subject,
    pub(crate) work: Work,
}

/// Judges a job at `now_ms`, the NSM's time.
pub(crate) fn judge(
    job: &EnclaveJob,
    chains: &Chains,
    operators: &Operators,
    now_ms: u64,
) -> Result<JudgedJob, Refusal> {
    let envelope = &job.command.envelope;
    let subject = job.command.verify().map_err(|error| match error {
        envelope::Error::PayloadHash | envelope::Error::Signature => denied(error.to_string()),
        envelope::Error::Subject => invalid(error.to_string()),
    })?;
    if envelope.issued_at_ms > now_ms.saturating_add(CLOCK_SKEW_MS_MAX) {
        return Err(invalid("the command was issued in the future"));
    }
    chains
        .authorise(&job.authority, operators, envelope.issuer, &subject, now_ms)
        .map_err(|error| denied(error.to_string()))?;
    if job.job_id != job.task.job_id(ids::event_id(envelope.command_id, 0)) {
        return Err(invalid("the job id is not that of the command's job"));
    }
    let command = Command::parse(&subject, job.command.payload.as_bytes())
        .map_err(|error| invalid(error.to_string()))?;
    let work = match (command, &job.task) {
        (Command::Wallet(command), task) => work(*command, task),
        (Command::Secret(command), task) => secret_work(*command, task),
        _ => None,
    };
    let work = work.ok_or_else(|| {
        let kind = job.task.kind();
        invalid(format!("{} {} does not ask for {kind}", subject.aggregate, subject.verb))
    })?;
    let subject = Subject {
        genesis_sha256: operators.genesis_sha256(),
        tenant: subject.tenant,
        wallet: subject.id,
        command_id: envelope.command_id,
        request_sha256: envelope.request_sha256(),
        issued_at_ms: envelope.issued_at_ms,
        now_ms,
    };
    Ok(JudgedJob { subject, work })
}

/// What `task` means for `command`; `None` when the command does not ask for it.
fn work(command: WalletCommand, task: &EnclaveTask) -> Option<Work> {
    let state = |sealed_key: &SealedKey, policy: &Policy| PresentedState {
        sealed_key: sealed_key.clone(),
        policy: policy.clone(),
    };
    match (command, task) {
        (WalletCommand::Create(create), EnclaveTask::CreateKey) => Some(Work::CreateKey(create.policy)),
        (WalletCommand::SetPolicy(set), EnclaveTask::ReplacePolicy { sealed_key, policy }) => {
            Some(Work::ReplacePolicy(set.change, state(sealed_key, policy)))
        }
        (WalletCommand::ResealKey(reseal), EnclaveTask::ReplacePolicy { sealed_key, policy }) => {
            Some(Work::ResealKey(reseal, state(sealed_key, policy)))
        }
        (
            WalletCommand::RequestTransfer(transfer),
            EnclaveTask::ReserveTransfer { approvals, last, sealed_key, policy },
        ) => {
            let (approvals, reservation) = (approvals.clone(), last.clone());
            let state = state(sealed_key, policy);
            Some(Work::ReserveTransfer(TransferWork { transfer, approvals, reservation, state }))
        }
        (
            WalletCommand::RequestTransfer(transfer),
            EnclaveTask::SignTransfer { approvals, reservation, sealed_key, policy },
        ) => {
            let (approvals, reservation) = (approvals.clone(), reservation.clone());
            let state = state(sealed_key, policy);
            Some(Work::SignTransfer(TransferWork { transfer, approvals, reservation, state }))
        }
        _ => None,
    }
}

/// As [`work`], for secrets.
fn secret_work(command: SecretCommand, task: &EnclaveTask) -> Option<Work> {
    match (command, task) {
        (SecretCommand::Store(store), EnclaveTask::SealSecret { present: None }) => {
            Some(Work::StoreSecret(store))
        }
        (SecretCommand::SetReaders(set), EnclaveTask::SealSecret { present: Some(present) }) => {
            Some(Work::SetReaders(set.change, present.clone()))
        }
        (SecretCommand::Reveal(reveal), EnclaveTask::RevealSecret { present }) => {
            Some(Work::RevealSecret(reveal.reading, present.clone()))
        }
        _ => None,
    }
}

fn denied(message: impl Into<String>) -> Refusal {
    Refusal::new(errors::WORKER_AUTHORITY_DENIED, message)
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(errors::WORKER_COMMAND_INVALID, message)
}

#[cfg(test)]
mod tests;
