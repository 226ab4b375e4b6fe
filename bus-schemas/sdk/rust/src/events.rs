//! The log as it is published: every event in position order, from any position, for as long as one listens.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream;
use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::pull::{Ordered, OrderedConfig};
use futures::stream::{Stream, StreamExt as _};
use nsl_schemas::event::{DecodeError, HEADER_SCHEMA_VERSION, Stored, VERSION, WireEvent};
use nsl_schemas::streams;
use nsl_schemas::token::{AggregateId, AggregateType, EventName, Tenant};
use serde_json::value::RawValue;

use crate::{Client, Source};

/// Where the aggregate's type is among the tokens of an event's subject.
const AGGREGATE_TOKEN: usize = 4;

/// The first position of every log.
pub const FIRST_POSITION: u64 = 1;

/// Why events cannot be followed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The event stream is not there, or the connection is gone.
    #[error("the event stream cannot be read")]
    Unavailable(#[source] Source),
    /// A published event lacks a header.
    #[error("event at position {position} has no header {header}")]
    HeaderMissing {
        /// Which event.
        position: u64,
        /// Which header.
        header: &'static str,
    },
    /// The stream's own data about the message cannot be read.
    #[error("message without a stream sequence")]
    Sequence(#[source] Source),
    /// An event's data is no JSON.
    #[error("data of the event at position {position} is not JSON")]
    Data {
        /// Which event.
        position: u64,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// An event's data is not what its name says, or newer than this client: a newer one reads it.
    #[error("event at position {position} cannot be read")]
    Event {
        /// Which event.
        position: u64,
        /// What is wrong with it.
        #[source]
        source: DecodeError,
    },
    /// No matching event came in time.
    #[error("no such event came within {} ms", limit.as_millis())]
    TimedOut {
        /// How long was waited.
        limit: Duration,
    },
    /// The stream ended.
    #[error("the event stream ended")]
    Ended,
}

/// Which events; an absent field matches any value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Whose.
    pub tenant: Option<Tenant>,
    /// Of which aggregate type.
    pub aggregate: Option<AggregateType>,
    /// Of which aggregate.
    pub id: Option<AggregateId>,
    /// Of which name, as `transfer-signed`.
    pub name: Option<EventName>,
}

impl EventFilter {
    fn subject(&self) -> String {
        let Self { tenant, aggregate, id, name } = self;
        if *self == Self::default() {
            return streams::EVENTS_SUBJECT.to_owned();
        }
        format!(
            "nsl.v1.evt.{}.{}.{}.{}",
            tenant.as_ref().map_or("*", Tenant::as_str),
            aggregate.as_ref().map_or("*", AggregateType::as_str),
            id.as_ref().map_or("*", AggregateId::as_str),
            name.as_ref().map_or("*", EventName::as_str)
        )
    }
}

/// An event as it was published: a CloudEvent in binary mode.
#[derive(Debug, Clone)]
pub struct PublishedEvent {
    /// Its place in the log, which is the stream's sequence.
    pub position: u64,
    /// `nsl.v1.evt.<tenant>.<aggregate>.<id>.<event>`.
    pub subject: String,
    /// `ce-id`.
    pub id: String,
    /// `ce-type`.
    pub event_type: String,
    /// The version of its schema.
    pub schema_version: String,
    /// `ce-time`, RFC 3339.
    pub time: String,
    /// The payload as the log holds it, byte for byte.
    pub data: Box<RawValue>,
}

impl PublishedEvent {
    /// The event's name, the last token of its subject.
    pub fn name(&self) -> &str {
        self.subject.rsplit('.').next().unwrap_or_default()
    }

    /// Reads the data as the event enum of its aggregate, in the newest version.
    pub fn decode<E: WireEvent>(&self) -> Result<E, Error> {
        let stored = Stored {
            aggregate_type: self.subject.split('.').nth(AGGREGATE_TOKEN).unwrap_or_default(),
            event_type: self.name(),
            event_version: &self.schema_version,
            payload: self.data.get(),
        };
        stored.decode().map_err(|source| Error::Event { position: self.position, source })
    }

    fn read(message: &jetstream::Message) -> Result<Self, Error> {
        let position = message.info().map_err(Error::Sequence)?.stream_sequence;
        let optional = |header: &'static str| {
            let value = message.headers.as_ref().and_then(|headers: &HeaderMap| headers.get(header));
            value.map(ToString::to_string)
        };
        let header = |header: &'static str| optional(header).ok_or(Error::HeaderMissing { position, header });
        let payload: &[u8] = if message.payload.is_empty() { b"null" } else { &message.payload };
        Ok(Self {
            position,
            subject: message.subject.to_string(),
            id: header("ce-id")?,
            event_type: header("ce-type")?,
            schema_version: optional(HEADER_SCHEMA_VERSION).unwrap_or_else(|| VERSION.to_owned()),
            time: header("ce-time")?,
            data: serde_json::from_slice(payload).map_err(|source| Error::Data { position, source })?,
        })
    }
}

/// Events in position order, without repeats; it goes on for as long as it is polled and mends lost connections.
pub struct EventStream {
    messages: Ordered,
    next_position: u64,
    backlog: u64,
}

impl EventStream {
    /// How many matching events there were when the stream was opened: whoever wants only those stops after as many.
    pub fn backlog(&self) -> u64 {
        self.backlog
    }
}

impl Stream for EventStream {
    type Item = Result<PublishedEvent, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let event = match ready!(self.messages.poll_next_unpin(context)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(Error::Unavailable(Box::new(error))))),
                Some(Ok(message)) => PublishedEvent::read(&message),
            };
            // A consumer that the server lost before its first message begins anew at the stream's start.
            if let Ok(event) = &event {
                if event.position < self.next_position {
                    continue;
                }
                self.next_position = event.position + 1;
            }
            return Poll::Ready(Some(event));
        }
    }
}

impl Client {
    /// Follows the events that match `filter`, beginning at `from_position`.
    pub async fn events(&self, filter: &EventFilter, from_position: u64) -> Result<EventStream, Error> {
        let start_sequence = from_position.max(FIRST_POSITION);
        let config = OrderedConfig {
            filter_subject: filter.subject(),
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence },
            ..OrderedConfig::default()
        };
        let (messages, backlog) = self.ordered_messages(streams::EVENTS, config).await?;
        Ok(EventStream { messages, next_position: start_sequence, backlog })
    }

    /// The position of the last published event; 0 when there is none.
    pub async fn published_head(&self) -> Result<u64, Error> {
        let stream = self.jetstream().get_stream(streams::EVENTS).await;
        let stream = stream.map_err(|error| Error::Unavailable(Box::new(error)))?;
        Ok(stream.cached_info().state.last_sequence)
    }

    /// Waits for the first matching event, from `from_position` on, of which `wanted` makes something.
    pub async fn wait_for_event<T>(
        &self,
        filter: &EventFilter,
        from_position: u64,
        limit: Duration,
        wanted: impl FnMut(&PublishedEvent) -> Result<Option<T>, Error>,
    ) -> Result<T, Error> {
        let search = async {
            let mut events = self.events(filter, from_position).await?;
            first(&mut events, wanted).await
        };
        tokio::time::timeout(limit, search).await.unwrap_or(Err(Error::TimedOut { limit }))
    }

    pub(crate) async fn ordered_messages(
        &self,
        stream: &str,
        config: OrderedConfig,
    ) -> Result<(Ordered, u64), Error> {
        let stream = self.jetstream().get_stream_no_info(stream).await;
        let stream = stream.map_err(|error| Error::Unavailable(Box::new(error)))?;
        let consumer = stream.create_consumer(config).await;
        let consumer = consumer.map_err(|error| Error::Unavailable(Box::new(error)))?;
        let backlog = consumer.cached_info().num_pending;
        let messages = consumer.messages().await.map_err(|error| Error::Unavailable(Box::new(error)))?;
        Ok((messages, backlog))
    }
}

/// The first event of which `wanted` makes something.
pub(crate) async fn first<T>(
    events: &mut EventStream,
    mut wanted: impl FnMut(&PublishedEvent) -> Result<Option<T>, Error>,
) -> Result<T, Error> {
    loop {
        let event = events.next().await.ok_or(Error::Ended)??;
        if let Some(found) = wanted(&event)? {
            return Ok(found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_without_fields_takes_the_whole_stream() {
        assert_eq!(EventFilter::default().subject(), streams::EVENTS_SUBJECT);
        let filter = EventFilter {
            tenant: Some(Tenant::parse("acme").unwrap()),
            name: Some(EventName::parse("key-created").unwrap()),
            ..EventFilter::default()
        };
        assert_eq!(filter.subject(), "nsl.v1.evt.acme.*.*.key-created");
    }
}
