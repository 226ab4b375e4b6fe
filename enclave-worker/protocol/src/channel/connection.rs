//! One live connection: who waits for which answer, and what became of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use thiserror::Error;
use tokio::io::AsyncRead;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::frame::{Body, Frame, Hello, Message, Refusal};
use crate::link::{self, FrameReader, Queued};
use crate::stream;

/// Why there is no connection, or why it ended.
#[derive(Debug, Error)]
pub enum ConnectionError {
    /// No stream could be opened.
    #[error("no stream")]
    Connect(#[from] stream::Error),
    /// The server's hello did not come in time.
    #[error("no hello from the server within the time to connect")]
    NoHello,
    /// The connection was judged and refused.
    #[error("connection was not admitted")]
    NotAdmitted(#[source] super::AdmissionError),
    /// The stream was open and ended.
    #[error("connection ended")]
    Link(#[from] link::Error),
}

/// What a caller gets when the connection ends before its answer came.
#[derive(Debug, Clone)]
pub(super) struct Lost {
    pub(super) cause: Arc<ConnectionError>,
    /// Whether the request may have reached the server.
    pub(super) is_sent: bool,
}

type Outcome = Result<Result<Vec<u8>, Refusal>, Lost>;

/// A connection after its hello.
#[derive(Debug)]
pub(super) struct Connection {
    hello: Hello,
    credits: Arc<Semaphore>,
    calls: Mutex<Calls>,
    /// Capacity is the window; what waits in it holds a credit, so there is always room.
    queue: mpsc::Sender<Queued>,
    stalled: Notify,
}

#[derive(Debug, Default)]
struct Calls {
    next_id: u64,
    waiting: HashMap<u64, Call>,
    lost: Option<Arc<ConnectionError>>,
}

#[derive(Debug)]
struct Call {
    answer: oneshot::Sender<Outcome>,
    progress: Progress,
    /// Given back when the call leaves the table.
    _credit: OwnedSemaphorePermit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Queued,
    /// The caller gave up before the writer came to it; the writer will pass it over.
    Withdrawn,
    /// The writer has it: from now on the server may see it.
    Sent,
}

impl Connection {
    pub(super) fn new(hello: Hello, queue: mpsc::Sender<Queued>) -> Self {
        let credits = Arc::new(Semaphore::new(usize::from(hello.window)));
        Self { hello, credits, calls: Mutex::default(), queue, stalled: Notify::new() }
    }

    pub(super) fn window(&self) -> usize {
        usize::from(self.hello.window)
    }

    pub(super) fn request_bytes_max(&self) -> usize {
        usize::try_from(self.hello.request_bytes_max).unwrap_or(usize::MAX)
    }

    /// Waits for the right to have one more request unanswered.
    pub(super) async fn credit(&self) -> Result<OwnedSemaphorePermit, Lost> {
        let credit = Arc::clone(&self.credits).acquire_owned().await;
        credit.map_err(|_closed| lost_unsent(&self.calls()))
    }

    /// Hands a request to the writer.
    pub(super) fn enqueue(
        &self,
        request: Bytes,
        credit: OwnedSemaphorePermit,
    ) -> Result<(u64, oneshot::Receiver<Outcome>), Lost> {
        let mut calls = self.calls();
        if calls.lost.is_some() {
            return Err(lost_unsent(&calls));
        }
        let request_id = calls.next_id;
        let message = Message { request_id, body: Body::Request(request) };
        if self.queue.try_send(Queued::new(message, None)).is_err() {
            return Err(lost_unsent(&calls));
        }
        calls.next_id += 1;
        let (answer, receiver) = oneshot::channel();
        calls.waiting.insert(request_id, Call { answer, progress: Progress::Queued, _credit: credit });
        Ok((request_id, receiver))
    }

    /// Takes a request back; true if it was not sent and now never will be.
    pub(super) fn withdraw(&self, request_id: u64) -> bool {
        match self.calls().waiting.get_mut(&request_id) {
            Some(call) if call.progress == Progress::Queued => {
                call.progress = Progress::Withdrawn;
                true
            }
            _ => false,
        }
    }

    /// The writer asks whether to send a request: not if nobody waits for its answer any more.
    pub(super) fn admit(&self, request_id: u64) -> bool {
        let mut calls = self.calls();
        let Some(call) = calls.waiting.get_mut(&request_id) else {
            return false;
        };
        if call.progress == Progress::Withdrawn || call.answer.is_closed() {
            calls.waiting.remove(&request_id);
            return false;
        }
        call.progress = Progress::Sent;
        true
    }

    /// Ends the connection if every credit is held by a sent call whose caller gave up.
    pub(super) fn notice_stall(&self) {
        let calls = self.calls();
        let is_abandoned = |call: &Call| call.progress == Progress::Sent && call.answer.is_closed();
        let is_stalled =
            calls.waiting.len() >= usize::from(self.hello.window) && calls.waiting.values().all(is_abandoned);
        if is_stalled {
            self.stalled.notify_one();
        }
    }

    /// Completes when [`notice_stall`](Self::notice_stall) found one.
    pub(super) async fn stall(&self) -> link::Error {
        self.stalled.notified().await;
        link::Error::Stalled { window: self.hello.window }
    }

    /// Reads answers until the connection ends. `on_drain` is told when the server takes no more requests; the
    /// connection then ends with the last answer.
    pub(super) async fn read_answers<R: AsyncRead + Unpin>(
        &self,
        reader: &mut FrameReader<R>,
        controls: &mpsc::Sender<Frame>,
        on_drain: impl Fn(),
    ) -> link::Error {
        let mut is_draining = false;
        while !(is_draining && self.calls().waiting.is_empty()) {
            let outcome = match reader.next().await {
                Ok(Frame::Batch(messages)) => {
                    messages.into_iter().try_for_each(|message| self.dispatch(message))
                }
                Ok(Frame::Ping) => {
                    // If the queue is full, a pong is already waiting in it.
                    let _ = controls.try_send(Frame::Pong);
                    Ok(())
                }
                Ok(Frame::Drain) => {
                    is_draining = true;
                    on_drain();
                    Ok(())
                }
                Ok(Frame::Close(reason)) => Err(link::Error::Closed { reason }),
                Ok(other) => Err(link::Error::Unexpected { kind: other.kind() }),
                Err(error) => Err(error),
            };
            if let Err(error) = outcome {
                return error;
            }
        }
        link::Error::Drained
    }

    /// Gives an answer to its caller; if that one is gone, the late answer is dropped.
    fn dispatch(&self, message: Message) -> Result<(), link::Error> {
        let Message { request_id, body } = message;
        let outcome = match body {
            Body::Response(payload) => Ok(Vec::from(payload)),
            Body::Refusal(refusal) => Err(refusal),
            Body::Request(_) => return Err(link::Error::Unexpected { kind: "request" }),
        };
        let mut calls = self.calls();
        match calls.waiting.remove(&request_id) {
            Some(call) if call.progress == Progress::Sent => {
                drop(calls);
                let _ = call.answer.send(Ok(outcome));
                Ok(())
            }
            unsent => {
                // Back it goes, so that its caller hears of the lost connection.
                calls.waiting.extend(unsent.map(|call| (request_id, call)));
                Err(link::Error::UnknownRequest { request_id })
            }
        }
    }

    /// Tells everybody who waits that the connection is lost.
    pub(super) fn fail(&self, cause: &Arc<ConnectionError>) {
        let waiting = {
            let mut calls = self.calls();
            calls.lost = Some(Arc::clone(cause));
            std::mem::take(&mut calls.waiting)
        };
        self.credits.close();
        for call in waiting.into_values() {
            let is_sent = call.progress == Progress::Sent;
            let _ = call.answer.send(Err(Lost { cause: Arc::clone(cause), is_sent }));
        }
    }

    /// No code panics while it holds the table, so a poisoned lock would still guard a whole table.
    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For a request that did not reach the writer.
fn lost_unsent(calls: &Calls) -> Lost {
    let cause = calls.lost.clone().unwrap_or_else(|| Arc::new(link::Error::Ended.into()));
    Lost { cause, is_sent: false }
}
