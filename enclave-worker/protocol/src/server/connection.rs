//! One client: its requests in, its answers out, and the rules it must keep.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::io::AsyncRead;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, interval_at, timeout};

use super::Server;
use super::answer::Answer;
use super::threads::Work;
use crate::frame::{Body, Frame, Message, Refusal};
use crate::limits::SILENT_PING_INTERVALS;
use crate::link::{CONTROL_QUEUE, Error, FrameReader, Outbox, Patience, Queued, write_frames};
use crate::stream::Stream;

/// The rules of one connection, shared by its reader and its writer.
struct Connection<H> {
    server: Arc<Server<H>>,
    answers: mpsc::Sender<Queued>,
    controls: mpsc::Sender<Frame>,
    /// Requests taken whose answer is not yet with the writer. At most the window, so the answer queue, which
    /// has that capacity, always has room.
    unanswered: AtomicUsize,
}

/// Serves one client until either side ends the connection, and says why it ended.
pub(super) async fn run<H, F>(stream: Stream, server: Arc<Server<H>>) -> Error
where
    H: Fn(Vec<u8>) -> F + Send + Sync + 'static,
    F: Future<Output = Vec<u8>> + Send + 'static,
{
    let limits = server.limits;
    let (source, sink) = tokio::io::split(stream);
    let (answers, messages) = mpsc::channel(usize::from(limits.window));
    let (controls, control_frames) = mpsc::channel(CONTROL_QUEUE);
    let connection = Connection { server, answers, controls, unanswered: AtomicUsize::new(0) };
    connection.say(Frame::Hello(connection.server.hello));

    let outbox = Outbox { messages, controls: control_frames };
    let writing = write_frames(sink, outbox, limits.write_timeout, |_request_id| {
        connection.unanswered.fetch_sub(1, Ordering::AcqRel);
        true
    });
    tokio::pin!(writing);
    let error = tokio::select! {
        error = connection.read_requests(source) => error,
        outcome = &mut writing => return outcome.err().unwrap_or(Error::Ended),
        () = connection.ping() => Error::Ended,
        () = connection.drain() => Error::Drained,
    };
    if let Some(reason) = error.close_reason() {
        connection.say(Frame::Close(reason));
        // The writer returns after the close; if the client does not take it, it is not owed one.
        let _ = timeout(limits.write_timeout, writing).await;
    }
    error
}

impl<H, F> Connection<H>
where
    H: Fn(Vec<u8>) -> F + Send + Sync + 'static,
    F: Future<Output = Vec<u8>> + Send + 'static,
{
    async fn read_requests(&self, source: impl AsyncRead + Unpin) -> Error {
        let limits = &self.server.limits;
        let silence = limits.ping_interval.saturating_mul(SILENT_PING_INTERVALS);
        let patience = Patience { silence, frame: limits.frame_timeout };
        let mut reader = FrameReader::new(source, patience);
        loop {
            let outcome = match reader.next().await {
                Ok(Frame::Batch(messages)) => self.take_all(messages).await,
                Ok(Frame::Pong) => Ok(()),
                Ok(other) => Err(Error::Unexpected { kind: other.kind() }),
                Err(error) => Err(error),
            };
            if let Err(error) = outcome {
                return error;
            }
        }
    }

    /// Takes a frame's requests and hands them to the threads together.
    async fn take_all(&self, messages: Vec<Message>) -> Result<(), Error> {
        let mut taken = Vec::with_capacity(messages.len());
        for message in messages {
            let Body::Request(payload) = message.body else {
                return Err(Error::Unexpected { kind: "answer" });
            };
            self.take(message.request_id, payload, &mut taken).await?;
        }
        self.server.threads.add(taken);
        Ok(())
    }

    async fn take(&self, request_id: u64, payload: Bytes, taken: &mut Vec<Work>) -> Result<(), Error> {
        let limits = &self.server.limits;
        if self.unanswered.fetch_add(1, Ordering::AcqRel) >= usize::from(limits.window) {
            return Err(Error::WindowExceeded { window: limits.window });
        }
        if self.server.drain.is_cancelled() {
            self.refuse(request_id, Refusal::ShuttingDown);
            return Ok(());
        }
        if payload.len() > limits.request_bytes_max {
            self.refuse(request_id, Refusal::RequestTooLarge);
            return Ok(());
        }
        let memory = self.reserve(payload.len() + limits.response_bytes_max, taken).await?;
        let pending = self.server.tasks.token();
        let answer =
            Answer::new(request_id, limits.response_bytes_max, self.answers.clone(), memory, pending);
        let handler = Arc::clone(&self.server.handler);
        taken.push(Box::pin(async move {
            let response = handler(Vec::from(payload)).await;
            (answer, response)
        }));
        Ok(())
    }

    /// Not reading on while memory is short is the backpressure. What was taken before must not wait with us: it holds
    /// the very memory that we wait for.
    async fn reserve(&self, bytes: usize, taken: &mut Vec<Work>) -> Result<OwnedSemaphorePermit, Error> {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        if let Ok(memory) = Arc::clone(&self.server.memory).try_acquire_many_owned(bytes) {
            return Ok(memory);
        }
        self.server.threads.add(std::mem::take(taken));
        // The semaphore is never closed.
        Arc::clone(&self.server.memory).acquire_many_owned(bytes).await.map_err(|_closed| Error::Drained)
    }

    fn refuse(&self, request_id: u64, refusal: Refusal) {
        let message = Message { request_id, body: Body::Refusal(refusal) };
        let queued = Queued::new(message, None);
        if self.answers.try_send(queued).is_err() {
            tracing::debug!(request_id, "refusal to a client that is gone");
        }
    }

    async fn ping(&self) {
        let interval = self.server.limits.ping_interval;
        let mut ticks = interval_at(Instant::now() + interval, interval);
        loop {
            ticks.tick().await;
            self.say(Frame::Ping);
        }
    }

    /// Ends when the time for the work in hand is over; usually the client leaves first.
    async fn drain(&self) {
        self.server.drain.cancelled().await;
        self.say(Frame::Drain);
        tokio::time::sleep(self.server.limits.drain_timeout).await;
    }
}

impl<H> Connection<H> {
    /// A full queue means a writer that is stuck, whose own deadline ends the connection.
    fn say(&self, control: Frame) {
        let _ = self.controls.try_send(control);
    }
}
