//! What is asked of a secret: a version to be sealed, or a reading. A worker's outcome ends it, or its deadline does: then
//! `expire-request` frees its place, and the client asks anew.

use nsl_schemas::canonical;
use nsl_schemas::command::secret::ExpireRequest;
use nsl_schemas::event::secret::SecretEvent;
use nsl_schemas::ids;
use nsl_schemas::job::{EnclaveJob, EnclaveTask};
use nsl_schemas::subject::CommandSubject;
use nsl_schemas::token::{self, AggregateId, AggregateType, Tenant, Verb};
use uuid::Uuid;

use super::{Cause, Command, Job, State};
use crate::secret::Secret;

/// In the ids of its commands.
const PROCESS: &str = "secret";

/// The request whose process an event belongs to.
pub(super) fn request_id(event: &SecretEvent) -> Uuid {
    match event {
        SecretEvent::StoreRequested(event) => event.request_id,
        SecretEvent::ReadersChangeRequested(event) => event.request_id,
        SecretEvent::RevealRequested(event) => event.request_id,
        SecretEvent::Sealed(event) => event.request_id,
        SecretEvent::Revealed(event) => event.request_id,
        SecretEvent::RequestRefused(event) => event.request_id,
        SecretEvent::RequestEnded(event) => event.request_id,
        SecretEvent::Destroyed(event) => event.request_id,
    }
}

pub(super) fn react(before: Option<State>, event: &SecretEvent) -> Option<State> {
    match (before, event) {
        (None, SecretEvent::StoreRequested(event)) => {
            Some(State::SealingSecret { answer_by_ms: event.answer_by_ms })
        }
        (None, SecretEvent::ReadersChangeRequested(event)) => {
            Some(State::SealingSecret { answer_by_ms: event.answer_by_ms })
        }
        (None, SecretEvent::RevealRequested(event)) => {
            Some(State::RevealingSecret { answer_by_ms: event.answer_by_ms })
        }
        (
            Some(_),
            SecretEvent::Sealed(_)
            | SecretEvent::Revealed(_)
            | SecretEvent::RequestRefused(_)
            | SecretEvent::RequestEnded(_),
        ) => Some(State::Over),
        (before, _) => before,
    }
}

/// The job that a secret's `event` asks for. `secret` is the state in force: a worker is shown no version but the newest.
pub fn job(event: &SecretEvent, secret: &Secret, cause: Cause<'_>) -> Option<Job> {
    let task = match event {
        SecretEvent::StoreRequested(_) => EnclaveTask::SealSecret { present: None },
        SecretEvent::ReadersChangeRequested(_) => {
            EnclaveTask::SealSecret { present: Some(secret.present()?.clone()) }
        }
        SecretEvent::RevealRequested(_) => EnclaveTask::RevealSecret { present: secret.present()?.clone() },
        SecretEvent::Sealed(_)
        | SecretEvent::Revealed(_)
        | SecretEvent::RequestRefused(_)
        | SecretEvent::RequestEnded(_)
        | SecretEvent::Destroyed(_) => return None,
    };
    Some(Job::Enclave(Box::new(EnclaveJob {
        job_id: ids::job_id(cause.event_id),
        command: cause.command.clone(),
        authority: cause.authority?.clone(),
        task,
    })))
}

pub(super) fn expire(
    request_id: Uuid,
    tenant: &Tenant,
    secret: &AggregateId,
) -> Result<Command, token::Error> {
    Ok(Command {
        id: ids::process_command_id(request_id, PROCESS, "expire"),
        subject: CommandSubject {
            tenant: tenant.clone(),
            aggregate: AggregateType::parse("secret")?,
            id: secret.clone(),
            verb: Verb::parse("expire-request")?,
        },
        payload: canonical::to_string(&ExpireRequest { request_id }),
    })
}
