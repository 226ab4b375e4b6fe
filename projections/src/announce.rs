//! The event stream: every event of the log, in position order, at the stream sequence that is its position.
//!
//! The stream itself is the checkpoint: its last sequence tells where to go on, and the server refuses any other
//! sequence than the next. So a repeat, a restart or a second process can neither double nor skip an event. A stream
//! that was deleted is made again, the same.

use std::time::Duration;

use nsl_bus::async_nats::jetstream::context::GetStreamError;
use nsl_bus::async_nats::jetstream::stream::RawMessageError;
use nsl_bus::{Bus, DriftPolicy, Outcome, SequencedMessage, headers, sequence, stream, streams};
use nsl_event_store::{EventReader, Filter, Page, ReadError, Subscription};
use nsl_schemas::streams::EVENTS;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::cloud_event;
use crate::failpoints;
use crate::progress::{Progress, described};
use crate::runner::pause;

/// The name under which its progress is shown.
pub const NAME: &str = "event-stream";
/// Events published before their acknowledgements are awaited; what the bus has under way at once.
const PAGE_EVENTS: u32 = 256;
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
}

impl Error {
    fn is_fatal(&self) -> bool {
        matches!(self, Self::AheadOfLog { .. } | Self::Diverged { .. })
    }

    fn may_pass(&self) -> bool {
        match self {
            Self::Log(error) => !matches!(error, ReadError::Corrupt { .. }),
            Self::Definition(error) => !matches!(error, stream::Error::Drift { .. }),
            Self::Publish(_) | Self::Stream(_) | Self::Last(_) => true,
            Self::Event { .. } | Self::AheadOfLog { .. } | Self::Diverged { .. } => false,
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
    /// Copies of the stream.
    pub replicas: u8,
    /// Where it shows how far it is.
    pub progress: Progress,
}

impl Announcer {
    /// Publishes until `stop`. Ends with an error only where the stream contradicts the log: going on would tell readers
    /// two histories.
    pub async fn run(self, mut wake: watch::Receiver<u64>, stop: CancellationToken) -> Result<(), Error> {
        while !stop.is_cancelled() {
            let Err(error) = self.follow(&mut wake, &stop).await else { continue };
            if error.is_fatal() {
                return Err(error);
            }
            let reason = described(&error);
            if error.may_pass() {
                tracing::warn!(projection = NAME, reason, "events wait to be published");
                self.rest(&reason, &stop).await;
                continue;
            }
            tracing::error!(projection = NAME, reason, "event stream stopped; mend the cause, then restart");
            while !stop.is_cancelled() {
                self.rest(&reason, &stop).await;
            }
        }
        Ok(())
    }

    async fn rest(&self, reason: &str, stop: &CancellationToken) {
        self.progress.blocked(reason, None, self.log.head().await.ok());
        pause(stop).await;
    }

    /// Publishes from the stream's end on, until `stop` or until the stream is found to end elsewhere.
    async fn follow(&self, wake: &mut watch::Receiver<u64>, stop: &CancellationToken) -> Result<(), Error> {
        self.bus.ensure_stream(&streams::events(self.replicas), DriftPolicy::Update).await?;
        let last = self.bus.last_sequence(EVENTS).await?;
        // Read after the stream's end: whatever another process publishes meanwhile is below this head.
        let head = self.log.head().await?;
        if last > head {
            return Err(Error::AheadOfLog { last, head });
        }
        self.check_last(last).await?;
        self.progress.at(last, head);
        let mut subscription = Subscription::new(self.log.clone(), last, Filter::default(), PAGE_EVENTS);
        loop {
            let position = subscription.position();
            let next = tokio::time::timeout(IDLE_CHECK, subscription.next_page(wake));
            let next = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                next = next => next,
            };
            match next {
                Ok(page) => {
                    let page = page?;
                    if !self.publish(position + 1, &page).await? {
                        return Ok(());
                    }
                    self.progress.at(page.position, page.head);
                }
                Err(_) if self.bus.last_sequence(EVENTS).await? < position => return Ok(()),
                Err(_) => {}
            }
        }
    }

    /// Publishes a page; false if the stream ends before it.
    async fn publish(&self, first: u64, page: &Page) -> Result<bool, Error> {
        let mut messages: Vec<SequencedMessage> = Vec::with_capacity(page.events.len());
        for event in &page.events {
            let position = event.position;
            messages.push(cloud_event::message(event).map_err(|source| Error::Event { position, source })?);
        }
        let outcome = self.bus.publish_run_at_sequence(EVENTS, messages, first).await?;
        failpoints::ANNOUNCED.reach();
        Ok(match outcome {
            Outcome::Published | Outcome::AlreadyThere => true,
            Outcome::Gap { .. } => false,
        })
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
