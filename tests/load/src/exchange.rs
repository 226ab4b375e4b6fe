//! Sends commands as the SDK does, to JetStream, and matches their results. One subscription for all results of the
//! tenant instead of the SDK's two for each command: a load of thousands a second is many clients in one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::jetstream::{self, context::PublishError};
use async_nats::{ConnectOptions, Message};
use futures::StreamExt as _;
use nsl_schemas::canonical;
use nsl_schemas::result::{Answer, CommandResult};
use nsl_schemas::token::Tenant;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::workload::Ready;

/// A result that takes longer is lost, and the measurement with it: nothing is sent twice here.
const RESULT_TIMEOUT: Duration = Duration::from_secs(30);
/// Publishes that wait for their acknowledgement at once: above every number of clients.
const ACKNOWLEDGEMENTS_MAX: usize = 4_096;

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot connect to the bus")]
    Connect(#[from] async_nats::ConnectError),
    #[error("cannot subscribe to results")]
    Subscribe(#[from] async_nats::SubscribeError),
    #[error("cannot publish a command")]
    Publish(#[from] PublishError),
    #[error("command {0} has no result")]
    Lost(Uuid),
    #[error("command {0} was not accepted: {1}")]
    NotAccepted(Uuid, String),
}

/// How to reach the bus.
pub(crate) struct Connection {
    pub(crate) url: String,
    pub(crate) user: String,
    pub(crate) password: String,
}

impl Connection {
    async fn open(&self, name: &str) -> Result<async_nats::Client, Error> {
        let options =
            ConnectOptions::with_user_and_password(self.user.clone(), self.password.clone()).name(name);
        Ok(options.connect(&self.url).await?)
    }
}

/// Who waits for which result.
type Waiting = Arc<Mutex<HashMap<Uuid, oneshot::Sender<Message>>>>;

/// Two connections: commands go out on one, answers come in on the other.
pub(crate) struct Exchange {
    jetstream: jetstream::Context,
    waiting: Waiting,
}

impl Exchange {
    /// Connects and listens for the tenant's results and refusals.
    pub(crate) async fn connect(connection: &Connection, tenant: &Tenant) -> Result<Self, Error> {
        let incoming = connection.open("nsl-load results").await?;
        let waiting = Waiting::default();
        // `subject::result` and `subject::refusal` with the command id left open.
        for kind in ["res", "ref"] {
            let mut answers = incoming.subscribe(format!("nsl.v1.{kind}.{tenant}.*")).await?;
            let waiting = Arc::clone(&waiting);
            tokio::spawn(async move {
                while let Some(message) = answers.next().await {
                    hand_over(&waiting, message);
                }
            });
        }
        // The server has both subscriptions before the first command leaves on the other connection.
        incoming.flush().await.map_err(|_| Error::Lost(Uuid::nil()))?;
        let outgoing = connection.open("nsl-load commands").await?;
        let jetstream =
            jetstream::ContextBuilder::new().max_ack_inflight(ACKNOWLEDGEMENTS_MAX).build(outgoing);
        Ok(Self { jetstream, waiting })
    }

    /// Publishes a command and returns when its accepted result is here.
    pub(crate) async fn send(&self, ready: Ready) -> Result<(), Error> {
        let Ready { subject: _, command, headers } = ready;
        let id = command.envelope.command_id;
        let (sender, receiver) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(id, sender);
        let acknowledgement = self
            .jetstream
            .publish_with_headers(command.envelope.subject, headers, command.payload.into())
            .await?;
        let answer = tokio::time::timeout(RESULT_TIMEOUT, receiver).await;
        // The result says more than the acknowledgement, which is awaited no longer.
        drop(acknowledgement);
        let Ok(Ok(message)) = answer else { return Err(Error::Lost(id)) };
        match canonical::from_slice::<CommandResult>(&message.payload) {
            Ok(CommandResult { answer: Answer::Accepted { .. }, .. }) => Ok(()),
            _ => Err(Error::NotAccepted(id, String::from_utf8_lossy(&message.payload).into_owned())),
        }
    }
}

/// Both kinds of answer carry the command's id as their subject's last token.
fn hand_over(waiting: &Waiting, message: Message) {
    let id = message.subject.rsplit('.').next().and_then(|id| Uuid::parse_str(id).ok());
    let waiter = id.and_then(|id| waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&id));
    if let Some(waiter) = waiter {
        // Who gave up waiting has said so.
        let _ = waiter.send(message);
    }
}
