//! What clients hear: results after the commit, refusals at once. Both leave by the bus; the log keeps the truth.

use async_nats::Client;
use bytes::Bytes;
use nsl_event_store::Receipt;
use nsl_schemas::bytes::Sha256;
use nsl_schemas::errors;
use nsl_schemas::result::{Answer, CommandResult};
use nsl_schemas::subject;
use nsl_schemas::token::Tenant;

use crate::intake::{Incoming, Refused};
use crate::ports::Outbox;

/// Publishes answers. A lost answer costs a client one resend.
#[derive(Debug, Clone)]
pub(crate) struct Answers {
    client: Client,
}

impl Answers {
    /// Answers over this connection.
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Puts a message that cannot be read where people find it.
    pub(crate) async fn park(&self, payload: Bytes) {
        self.send(subject::PARKED_COMMAND.to_owned(), payload).await;
    }

    async fn publish<T: serde::Serialize>(&self, subject: String, message: &T) {
        match serde_json::to_vec(message) {
            Ok(payload) => self.send(subject, payload.into()).await,
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "answer cannot be written");
            }
        }
    }

    async fn send(&self, subject: String, payload: Bytes) {
        if let Err(error) = self.client.publish(subject, payload).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "answer was not sent");
        }
    }
}

impl Outbox for Answers {
    async fn result(&self, tenant: &Tenant, result: &CommandResult) {
        self.publish(subject::result(tenant, result.command_id), result).await;
    }

    async fn refusal(&self, tenant: &Tenant, refused: &Refused, sequence: u64) {
        let subject = match refused.command_id {
            Some(command_id) => subject::refusal(tenant, command_id),
            None => subject::refusal_by_sequence(tenant, sequence),
        };
        self.publish(subject, &refused.to_wire()).await;
    }

    async fn head(&self, head: u64) {
        self.send(subject::HEAD.to_owned(), head.to_string().into()).await;
    }

    #[cfg(feature = "failpoints")]
    async fn flush(&self) {
        if let Err(error) = self.client.flush().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "answers may not have been sent");
        }
    }
}

/// What a resend of a committed command hears: the first answer, or that the id is taken.
pub(crate) fn of_receipt(incoming: &Incoming, receipt: &Receipt) -> Result<CommandResult, Refused> {
    let envelope = &incoming.signed.envelope;
    let is_same = receipt.issuer == envelope.issuer.to_string()
        && Sha256(receipt.request_hash) == incoming.request_sha256;
    if !is_same {
        return Err(incoming.refuse(errors::ID_REUSED, "the command id belongs to another command"));
    }
    let answer: Answer = serde_json::from_str(&receipt.answer).map_err(|error| {
        tracing::error!(command.id = %receipt.command_id, error = &error as &dyn std::error::Error, "receipt cannot be read");
        incoming.refuse(errors::UNAVAILABLE, "the receipt cannot be read by this version")
    })?;
    Ok(CommandResult {
        command_id: receipt.command_id,
        first_position: receipt.first_position,
        event_count: receipt.event_count,
        answer,
    })
}
