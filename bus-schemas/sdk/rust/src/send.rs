//! Sends a command until its result is known: publish, await, look up, send the same bytes again (D1).

use std::future::IntoFuture as _;
use std::pin::pin;
use std::time::Duration;

use async_nats::jetstream::context::{PublishAckFuture, PublishError, PublishErrorKind};
use async_nats::jetstream::stream::DirectGetErrorKind;
use async_nats::{HeaderMap, Message};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::stream::{Stream, StreamExt as _};
use nsl_schemas::bytes::Sha256;
use nsl_schemas::canonical;
use nsl_schemas::envelope::{
    Envelope, HEADER_COMMAND_ID, HEADER_EXPIRES_AT_MS, HEADER_ISSUED_AT_MS, HEADER_ISSUER, HEADER_SIGNATURE,
};
use nsl_schemas::errors;
use nsl_schemas::result::{Answer, CommandResult, Refusal};
use nsl_schemas::token::Tenant;
use nsl_schemas::{streams, subject};
use uuid::Uuid;

use crate::query::QueryError;
use crate::{Client, Prepared, Source};

/// Why a command has no accepted result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// A rule said no, and the log remembers it: the same command is answered so for ever.
    #[error("command {command_id} was rejected ({code}): {message}")]
    Rejected {
        /// Which command.
        command_id: Uuid,
        /// A stable code, see [`nsl_schemas::errors`].
        code: String,
        /// What happened.
        message: String,
        /// The position of the rejection in the log.
        position: u64,
    },
    /// Refused before anything was recorded.
    #[error("command {command_id} was refused ({code}): {message}")]
    Refused {
        /// Which command.
        command_id: Uuid,
        /// A stable code, see [`nsl_schemas::errors`].
        code: String,
        /// What happened.
        message: String,
        /// When sending the same again can help.
        retry_after: Option<Duration>,
    },
    /// The command is another tenant's, which this client's account on the bus cannot reach. Nothing was sent.
    #[error("command {command_id} is for tenant {tenant}, the client is tenant {own}'s")]
    ForeignTenant {
        /// Which command.
        command_id: Uuid,
        /// Whose aggregate.
        tenant: Tenant,
        /// Whose client.
        own: Tenant,
    },
    /// The bus took nothing.
    #[error("command {command_id} could not be handed to the bus")]
    Unavailable {
        /// Which command.
        command_id: Uuid,
        /// Why.
        #[source]
        source: Source,
    },
    /// No result came. It may have happened, or may yet: keep the command and send the same bytes again.
    #[error("command {command_id} was sent {attempts} times and no result came")]
    OutcomeUnknown {
        /// Which command.
        command_id: Uuid,
        /// How often it was sent.
        attempts: u32,
    },
}

/// What one attempt came to.
enum Attempt {
    /// An answer of the service.
    Answered(Result<CommandResult, SendError>),
    /// The stream said for certain that it did not take the command.
    NotTaken(Source),
    /// Nothing was heard in time.
    Silent,
}

impl Client {
    /// Sends a command and returns its accepted result; everything else is an error.
    ///
    /// Dropping the future leaves nothing behind but, perhaps, the command's effect: send it again to learn it.
    pub async fn send(&self, prepared: &Prepared) -> Result<CommandResult, SendError> {
        let command_id = prepared.command_id();
        let unavailable = |source: Source| SendError::Unavailable { command_id, source };
        let tenant = &prepared.subject().tenant;
        if tenant != self.tenant() && !self.tenant().is_system() {
            let (tenant, own) = (tenant.clone(), self.tenant().clone());
            return Err(SendError::ForeignTenant { command_id, tenant, own });
        }
        let results = self.nats().subscribe(subject::result(tenant, command_id)).await;
        let refusals = self.nats().subscribe(subject::refusal(tenant, command_id)).await;
        let mut answers = futures::stream::select(
            results.map_err(|error| unavailable(Box::new(error)))?,
            refusals.map_err(|error| unavailable(Box::new(error)))?,
        );
        for attempt in 0..=self.resends_max() {
            match self.attempt(prepared, &mut answers).await {
                Attempt::Answered(answer) => return answer,
                Attempt::NotTaken(source) if attempt == 0 => return Err(unavailable(source)),
                // An earlier attempt may have been taken all the same.
                Attempt::NotTaken(_) => {
                    return Err(SendError::OutcomeUnknown { command_id, attempts: attempt + 1 });
                }
                Attempt::Silent => {}
            }
            if let Some(answer) = self.look_up(prepared).await {
                return answer;
            }
        }
        Err(SendError::OutcomeUnknown { command_id, attempts: self.resends_max() + 1 })
    }

    async fn attempt(
        &self,
        prepared: &Prepared,
        answers: &mut (impl Stream<Item = Message> + Unpin),
    ) -> Attempt {
        let command = prepared.command();
        let exchange = async {
            let acknowledgement = self
                .jetstream()
                .publish_with_headers(
                    command.envelope.subject.clone(),
                    headers(&command.envelope),
                    command.payload.clone().into(),
                )
                .await;
            match acknowledgement {
                Ok(acknowledgement) => await_answer(prepared, acknowledgement, answers).await,
                Err(error) => Attempt::NotTaken(Box::new(error)),
            }
        };
        tokio::time::timeout(self.answer_timeout(), exchange).await.unwrap_or(Attempt::Silent)
    }

    /// What the result stream remembers, for a result that was published while nobody listened. A failed look-up says
    /// nothing, and the next attempt asks again.
    async fn look_up(&self, prepared: &Prepared) -> Option<Result<CommandResult, SendError>> {
        let (tenant, command_id) = (&prepared.subject().tenant, prepared.command_id());
        // Of refusals only this one holds for ever; an older one of another kind may be out of date, and resending
        // brings the present one.
        let refusal =
            self.last_message::<Refusal>(streams::RESULTS, subject::refusal(tenant, command_id)).await;
        if let Ok(Some(refusal)) = refusal
            && refusal.code == errors::ID_REUSED.code
            && let Some(error) = own_refusal(prepared, refusal)
        {
            return Some(Err(error));
        }
        let result =
            self.last_message::<CommandResult>(streams::RESULTS, subject::result(tenant, command_id)).await;
        result.ok().flatten().and_then(|result| own_result(prepared, result))
    }

    /// The recorded result of a command, while the result stream still has it.
    pub async fn recorded_result(
        &self,
        tenant: &Tenant,
        command_id: Uuid,
    ) -> Result<Option<CommandResult>, QueryError> {
        self.last_message(streams::RESULTS, subject::result(tenant, command_id)).await
    }

    /// The last message that `stream` has on `subject`. Asked for directly: such a request names the subject on the bus
    /// itself, so that a tenant can be let ask for its own only.
    pub(crate) async fn last_message<T: serde::de::DeserializeOwned>(
        &self,
        stream: &str,
        subject: String,
    ) -> Result<Option<T>, QueryError> {
        let unavailable = |source: Source| QueryError::Unavailable { subject: subject.clone(), source };
        let stream = self.jetstream().get_stream_no_info(stream).await;
        let stream = stream.map_err(|error| unavailable(Box::new(error)))?;
        let message = match stream.direct_get_last_for_subject(&subject).await {
            Ok(message) => message,
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unavailable(Box::new(error))),
        };
        canonical::from_slice(&message.payload)
            .map(Some)
            .map_err(|source| QueryError::Malformed { subject: subject.clone(), source })
    }
}

fn headers(envelope: &Envelope) -> HeaderMap {
    let Envelope {
        command_id,
        subject: _,
        issuer,
        issued_at_ms,
        expires_at_ms,
        payload_sha256: _,
        signature,
    } = envelope;
    let mut headers = HeaderMap::new();
    headers.insert(HEADER_COMMAND_ID, command_id.to_string());
    headers.insert(HEADER_ISSUER, issuer.to_string());
    headers.insert(HEADER_ISSUED_AT_MS, issued_at_ms.to_string());
    headers.insert(HEADER_EXPIRES_AT_MS, expires_at_ms.to_string());
    headers.insert(HEADER_SIGNATURE, STANDARD.encode(&signature.0));
    headers
}

/// Waits for an answer to this command; the acknowledgement matters only when it says no.
async fn await_answer(
    prepared: &Prepared,
    acknowledgement: PublishAckFuture,
    answers: &mut (impl Stream<Item = Message> + Unpin),
) -> Attempt {
    let mut acknowledgement = pin!(acknowledgement.into_future());
    let mut acknowledgement_is_due = true;
    loop {
        tokio::select! {
            // A result may overtake the acknowledgement, and says more.
            biased;
            message = answers.next() => match message {
                Some(message) => {
                    if let Some(answer) = judge(prepared, &message) {
                        return Attempt::Answered(answer);
                    }
                }
                None => return Attempt::Silent,
            },
            acknowledged = &mut acknowledgement, if acknowledgement_is_due => {
                acknowledgement_is_due = false;
                if let Err(error) = acknowledged && !may_be_stored(&error) {
                    return Attempt::NotTaken(Box::new(error));
                }
            }
        }
    }
}

/// Whether the stream may hold the command although its acknowledgement failed.
fn may_be_stored(error: &PublishError) -> bool {
    matches!(error.kind(), PublishErrorKind::TimedOut | PublishErrorKind::BrokenPipe)
}

/// Reads a message on one of the command's two subjects; `None` for what is not an answer to exactly this command.
fn judge(prepared: &Prepared, message: &Message) -> Option<Result<CommandResult, SendError>> {
    let tenant = &prepared.subject().tenant;
    if message.subject.as_str() == subject::refusal(tenant, prepared.command_id()) {
        let refusal = canonical::from_slice(&message.payload).ok()?;
        own_refusal(prepared, refusal).map(Err)
    } else {
        let result = canonical::from_slice(&message.payload).ok()?;
        own_result(prepared, result)
    }
}

fn own_result(prepared: &Prepared, result: CommandResult) -> Option<Result<CommandResult, SendError>> {
    if result.command_id != prepared.command_id() {
        return None;
    }
    Some(match result.answer {
        Answer::Accepted { .. } => Ok(result),
        Answer::Rejected { code, message } => Err(SendError::Rejected {
            command_id: result.command_id,
            code,
            message,
            position: result.first_position,
        }),
    })
}

/// Anybody may publish a command under any id, so only a refusal of our own bytes is ours.
fn own_refusal(prepared: &Prepared, refusal: Refusal) -> Option<SendError> {
    let own: Sha256 = prepared.command().envelope.request_sha256();
    let Refusal { command_id: _, request_sha256, code, message, retry_after_ms } = refusal;
    (request_sha256 == Some(own)).then(|| SendError::Refused {
        command_id: prepared.command_id(),
        code,
        message,
        retry_after: retry_after_ms.map(Duration::from_millis),
    })
}
