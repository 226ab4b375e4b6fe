//! Request and reply over core NATS: a server with bounded concurrency, and a client with a timeout.

use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use async_nats::client::RequestErrorKind;
use async_nats::{HeaderMap, Message, Request};
use bytes::Bytes;
use futures::StreamExt;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Bus;

/// Where requests are served.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// The subject, with wildcards.
    pub subject: String,
    /// The queue group: each request goes to one member.
    pub queue: String,
    /// How many requests are handled at once; more wait in the subscription, their senders' timeouts running.
    pub max_concurrent: NonZeroUsize,
}

/// An answer.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    /// Its headers.
    pub headers: HeaderMap,
    /// Its bytes.
    pub payload: Bytes,
}

/// A request or an endpoint that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody serves the subject now.
    #[error("nobody answers requests on {subject}")]
    NoResponders {
        /// The subject.
        subject: String,
    },
    /// No answer came in time; the request may have been handled.
    #[error("no answer on {subject} within {timeout_ms} ms")]
    TimedOut {
        /// The subject.
        subject: String,
        /// The timeout.
        timeout_ms: u128,
    },
    /// The request could not be sent.
    #[error("cannot send a request on {subject}")]
    Send {
        /// The subject.
        subject: String,
        /// Why.
        #[source]
        source: async_nats::RequestError,
    },
    /// The subscription could not be made.
    #[error("cannot serve requests on {subject}")]
    Subscribe {
        /// The subject.
        subject: String,
        /// Why.
        #[source]
        source: async_nats::SubscribeError,
    },
    /// The subscription could not be ended in order.
    #[error("cannot stop serving requests on {subject}")]
    Drain {
        /// The subject.
        subject: String,
        /// Why.
        #[source]
        source: async_nats::UnsubscribeError,
    },
}

impl Bus {
    /// Sends one request and waits for its answer.
    pub async fn request(
        &self,
        subject: &str,
        headers: HeaderMap,
        payload: Bytes,
        timeout: Duration,
    ) -> Result<Message, Error> {
        let request = Request::new().headers(headers).payload(payload).timeout(Some(timeout));
        let subject = subject.to_owned();
        self.client().send_request(subject.clone(), request).await.map_err(|source| match source.kind() {
            RequestErrorKind::NoResponders => Error::NoResponders { subject },
            RequestErrorKind::TimedOut => Error::TimedOut { subject, timeout_ms: timeout.as_millis() },
            _ => Error::Send { subject, source },
        })
    }

    /// Serves requests until `stop` is cancelled; what was received before is answered. A handler that panics leaves
    /// its one sender without an answer.
    pub async fn serve<H, Fut>(
        &self,
        endpoint: Endpoint,
        stop: CancellationToken,
        handler: H,
    ) -> Result<(), Error>
    where
        H: Fn(Message) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Reply> + Send + 'static,
    {
        let Endpoint { subject, queue, max_concurrent } = endpoint;
        let mut requests = match self.client().queue_subscribe(subject.clone(), queue).await {
            Ok(requests) => requests,
            Err(source) => return Err(Error::Subscribe { subject, source }),
        };
        let handler = Arc::new(handler);
        let permits = Arc::new(Semaphore::new(max_concurrent.get()));
        let tasks = TaskTracker::new();
        let mut draining = false;
        loop {
            let message = tokio::select! {
                () = stop.cancelled(), if !draining => {
                    draining = true;
                    requests.drain().await.map_err(|source| Error::Drain { subject: subject.clone(), source })?;
                    continue;
                }
                message = requests.next() => message,
            };
            let Some(message) = message else { break };
            // The semaphore is never closed; were it, there would be nothing left to serve with.
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { break };
            let (client, handler) = (self.client().clone(), Arc::clone(&handler));
            tasks.spawn(async move {
                answer(&client, &*handler, message).await;
                drop(permit);
            });
        }
        tasks.close();
        tasks.wait().await;
        Ok(())
    }
}

async fn answer<H, Fut>(client: &async_nats::Client, handler: &H, message: Message)
where
    H: Fn(Message) -> Fut,
    Fut: Future<Output = Reply>,
{
    let (subject, inbox) = (message.subject.clone(), message.reply.clone());
    let Some(inbox) = inbox else {
        tracing::warn!(%subject, "request without a reply subject is ignored");
        return;
    };
    let reply = handler(message).await;
    if let Err(error) = client.publish_with_headers(inbox, reply.headers, reply.payload).await {
        // Its sender times out and asks again.
        tracing::warn!(%subject, error = &error as &dyn std::error::Error, "answer could not be sent");
    }
}
