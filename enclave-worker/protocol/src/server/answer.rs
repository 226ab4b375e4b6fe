//! The promise that every request taken is answered once, even if its handler panics.

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::frame::{Body, Message, Refusal};
use crate::link::Queued;

/// The answer a request still waits for. Dropped without one, it tells the client that the handler failed.
#[derive(Debug)]
pub(super) struct Answer {
    request_id: u64,
    response_bytes_max: usize,
    queue: mpsc::Sender<Queued>,
    /// Reserved for the request and its longest response; `None` once answered.
    memory: Option<OwnedSemaphorePermit>,
    /// A server that shuts down waits for it.
    _pending: TaskTrackerToken,
}

impl Answer {
    pub(super) fn new(
        request_id: u64,
        response_bytes_max: usize,
        queue: mpsc::Sender<Queued>,
        memory: OwnedSemaphorePermit,
        pending: TaskTrackerToken,
    ) -> Self {
        Self { request_id, response_bytes_max, queue, memory: Some(memory), _pending: pending }
    }

    /// Queues the response and keeps only the memory it needs.
    pub(super) fn complete(mut self, response: Vec<u8>) {
        let Some(mut memory) = self.memory.take() else {
            return;
        };
        if response.len() > self.response_bytes_max {
            self.queue(Body::Refusal(Refusal::ResponseTooLarge), None);
            return;
        }
        let kept = memory.split(response.len());
        self.queue(Body::Response(Bytes::from(response)), kept);
    }

    /// The queue has room for every request of the window; it is closed when the client is gone, and then
    /// nobody waits for the answer.
    fn queue(&self, body: Body, memory: Option<OwnedSemaphorePermit>) {
        let message = Message { request_id: self.request_id, body };
        if self.queue.try_send(Queued::new(message, memory)).is_err() {
            tracing::debug!(request_id = self.request_id, "answer to a client that is gone");
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if self.memory.take().is_some() {
            self.queue(Body::Refusal(Refusal::HandlerFailed), None);
        }
    }
}
