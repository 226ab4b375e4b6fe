//! The event stream: every event of the log, in position order, at the stream sequence that is its position.
//!
//! The stream itself is the checkpoint: its last sequence tells where to go on, and the server refuses any other
//! sequence than the next. So a repeat, a restart or a second process can neither double nor skip an event. A stream
//! that was deleted is made again, the same.

use std::time::Duration;

use nsl_bus::async_nats::jetstream::context::GetStreamError;
use nsl_bus::async_nats::jetstream::stream::RawMessageError;
use nsl_bus::{Bus, DriftPolicy, Outcome, SequencedMessage, headers, sequence, stream, streams};
use nsl_event_store::{EventReader, Filter, Page, ReadError};
use nsl_schemas::query::ProjectionState;
use nsl_schemas::streams::EVENTS;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::cloud_event;
use crate::failpoints;
use crate::fault::{Failure, Fault, Pace, Tries};
use crate::feed::Feed;
use crate::progress::Progress;
use crate::runner::pause;

/// The name under which its progress is shown.
pub const NAME: &str = "event-stream";
/// How often a stream without news is looked at: one that was deleted shall not wait for the next event.
const IDLE_CHECK: Duration = Duration::from_secs(2);
/// A UUID in text.
const EVENT_ID_BYTES_MAX: usize = 36;

/// Why events are not published.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log cannot be read.
    #[error("log cannot be read")]
    Log(#[from] ReadError),
    /// The stream is not as it must be.
    #[error("event stream cannot be made")]
    Definition(#[from] stream::Error),
    /// The bus does not take a message, or not now.
    #[error("event cannot be published")]
    Publish(#[from] sequence::Error),
    /// The stream's last message cannot be looked at.
    #[error("event stream cannot be read")]
    Stream(#[from] GetStreamError),
    /// The stream's last message cannot be read.
    #[error("last message of the event stream cannot be read")]
    Last(#[from] RawMessageError),
    /// The log holds what cannot be published.
    #[error("event {position} cannot be published")]
    Event {
        /// Its position.
        position: u64,
        /// Its id.
        event_id: Uuid,
        /// Why.
        #[source]
        source: cloud_event::Error,
    },
    /// The log ends before the stream: the database was restored to an earlier state than the stream has seen.
    #[error(
        "event stream {EVENTS} is ahead of the log: it ends at {last}, the log at {head}; if the log was \
             restored and is right, delete the stream, and it is published again"
    )]
    AheadOfLog {
        /// The stream's last sequence.
        last: u64,
        /// The log's head.
        head: u64,
    },
    /// The stream tells another history: the database was restored and went on differently.
    #[error(
        "event stream {EVENTS} differs from the log at {position}: it has event {found:?}, the log {expected}; if \
             the log is right, delete the stream, and it is published again"
    )]
    Diverged {
        /// Where.
        position: u64,
        /// What the stream has.
        found: Option<String>,
        /// What the log has.
        expected: String,
    },
    /// The code that publishes panicked.
    #[error("event stream panicked: {message}")]
    Panicked {
        /// What the panic said.
        message: String,
    },
}

impl Failure for Error {
    fn panicked(message: String) -> Self {
        Self::Panicked { message }
    }

    fn fault(&self) -> Fault {
        match self {
            Self::Event { position, event_id, .. } => {
                Fault { event: Some((*position, *event_id)), ..Fault::failed(self) }
            }
            Self::Log(error) if !error.may_pass() => Fault::failed(self),
            Self::Definition(stream::Error::Drift { .. })
            | Self::AheadOfLog { .. }
            | Self::Diverged { .. }
            | Self::Panicked { .. } => Fault::failed(self),
            Self::Log(_) | Self::Definition(_) | Self::Publish(_) | Self::Stream(_) | Self::Last(_) => {
                Fault::waiting(self)
            }
        }
    }
}

/// Publishes the events.
#[derive(Debug)]
pub struct Announcer {
    /// The log.
    pub log: EventReader,
    /// Where the stream is.
    pub bus: Bus,
    /// Where it shows how far it is.
    pub progress: Progress,
    /// How long it rests when it does not get on.
    pub pace: Pace,
}

impl Announcer {
    /// Publishes until `stop`. Where the stream contradicts the log, nothing more is published: going on would tell
    /// readers two histories.
    pub async fn run(self, wake: watch::Receiver<u64>, stop: CancellationToken) {
        let mut tries = Tries::default();
        while !stop.is_cancelled() {
            let work = Box::pin(self.follow(&wake, &stop));
            let Err((fault, rest)) = tries.make(NAME, &self.progress, self.pace, work).await else {
                continue;
            };
            // What is before an event that cannot be published is published.
            let position = fault.event.map(|(position, _)| position - 1);
            self.progress.blocked(&fault, position, self.log.head().await.ok());
            pause(rest, &stop).await;
        }
    }

    /// Publishes from the stream's end on, until `stop` or until the stream is found to end elsewhere.
    async fn follow(&self, wake: &watch::Receiver<u64>, stop: &CancellationToken) -> Result<(), Error> {
        self.bus.ensure_stream(&streams::events(self.bus.replicas()), DriftPolicy::Update).await?;
        let last = self.bus.last_sequence(EVENTS).await?;
        // Read after the stream's end: whatever another process publishes meanwhile is below this head.
        let head = self.log.head().await?;
        if last > head {
            return Err(Error::AheadOfLog { last, head });
        }
        self.check_last(last).await?;
        // After a failure it is well again only once it got on.
        if last == head || self.progress.fault().is_none_or(|fault| fault.state == ProjectionState::Waiting) {
            self.progress.at(last, head);
        }
        let mut feed = Feed::start(self.log.clone(), last, Filter::default(), wake.clone());
        let mut position = last;
        loop {
            let next = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                next = tokio::time::timeout(IDLE_CHECK, feed.chunk()) => next,
            };
            let Ok(chunk) = next else {
                if self.bus.last_sequence(EVENTS).await? < position {
                    return Ok(());
                }
                continue;
            };
            let chunk = chunk?;
            if let Some(event) = chunk.events.first() {
                self.progress.waits_since(event.recorded_at_ms);
            }
            if !self.publish(position + 1, &chunk).await? {
                return Ok(());
            }
            position = chunk.position;
            self.progress.applied(chunk.events.len());
            self.progress.at(position, chunk.head);
        }
    }

    /// Publishes a chunk, up to the first event that cannot be published; false if the stream ends before it.
    async fn publish(&self, first: u64, chunk: &Page) -> Result<bool, Error> {
        let mut messages: Vec<SequencedMessage> = Vec::with_capacity(chunk.events.len());
        let mut refused = None;
        for event in &chunk.events {
            match cloud_event::message(event) {
                Ok(message) => messages.push(message),
                Err(source) => {
                    let (position, event_id) = (event.position, event.event_id);
                    refused = Some(Error::Event { position, event_id, source });
                    break;
                }
            }
        }
        let outcome = if messages.is_empty() {
            Outcome::Published
        } else {
            let outcome = self.bus.publish_run_at_sequence(EVENTS, messages, first).await?;
            failpoints::ANNOUNCED.reach();
            outcome
        };
        match (outcome, refused) {
            (Outcome::Gap { .. }, _) => Ok(false),
            (Outcome::Published | Outcome::AlreadyThere, None) => Ok(true),
            (Outcome::Published | Outcome::AlreadyThere, Some(error)) => Err(error),
        }
    }

    /// Compares the stream's last message with the log.
    async fn check_last(&self, last: u64) -> Result<(), Error> {
        if last == 0 {
            return Ok(());
        }
        let message = self.bus.jetstream().get_stream(EVENTS).await?.get_raw_message(last).await?;
        let found = headers::optional(Some(&message.headers), cloud_event::ID, EVENT_ID_BYTES_MAX);
        let found = found.ok().flatten().map(str::to_owned);
        let page = self.log.read(last - 1, 1, &Filter::default()).await?;
        let expected = page.events.first().map(|event| event.event_id.to_string()).unwrap_or_default();
        if found.as_deref() == Some(expected.as_str()) {
            Ok(())
        } else {
            Err(Error::Diverged { position: last, found, expected })
        }
    }
}
