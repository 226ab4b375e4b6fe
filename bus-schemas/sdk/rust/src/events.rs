//! The log: every event in position order, from any position, for as long as one listens.
//!
//! Events come in pages, asked for by request-reply under the asking tenant's subject, so that no tenant needs a consumer
//! on a stream that holds everybody's. What is published on the bus only says that there is more to ask for.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_nats::Subscriber;
use futures::FutureExt as _;
use futures::stream::{Stream, StreamExt as _};
use nsl_schemas::event::{DecodeError, Stored, WireEvent};
use nsl_schemas::query::{EVENTS_MAX, EventPage, EventsRequest, LoggedEvent, name};
use nsl_schemas::token::{AggregateId, AggregateType, EventName, Tenant};
use serde_json::value::RawValue;

use crate::query::QueryError;
use crate::{Client, Source};

/// Where the aggregate's type is among the tokens of an event's subject.
const AGGREGATE_TOKEN: usize = 4;

/// The first position of every log.
pub const FIRST_POSITION: u64 = 1;
/// No log reaches this position: whoever asks for what comes after it learns the head and gets nothing else.
const BEYOND_EVERY_LOG: u64 = (1 << 53) - 1;
/// How long a follower rests without a notice before it asks all the same: a notice may be lost.
const REST: Duration = Duration::from_secs(2);
/// Pause before an unanswered question is asked again.
const RETRY: Duration = Duration::from_millis(250);

/// Why events cannot be followed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing can be heard: the connection is gone.
    #[error("the event stream cannot be read")]
    Unavailable(#[source] Source),
    /// A page of the log was not answered as it must be.
    #[error("a page of the log cannot be read")]
    Page(#[from] QueryError),
    /// The service answered with a page that does not go on from where it was asked to.
    #[error("asked for events after position {asked}, got a page up to {position}")]
    PageOutOfOrder {
        /// Where it was to begin.
        asked: u64,
        /// How far the page says it reaches.
        position: u64,
    },
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
    /// Whose; absent, the client's own tenant's, and for a client of the tenant `system` everybody's.
    pub tenant: Option<Tenant>,
    /// Of which aggregate type.
    pub aggregate: Option<AggregateType>,
    /// Of which aggregate.
    pub id: Option<AggregateId>,
    /// Of which name, as `transfer-signed`.
    pub name: Option<EventName>,
}

impl EventFilter {
    /// Where such events are published, as far as a client of `asking` may hear.
    fn subject(&self, asking: &Tenant) -> String {
        let Self { tenant, aggregate, id, name } = self;
        let own = (!asking.is_system()).then_some(asking);
        format!(
            "nsl.v1.evt.{}.{}.{}.{}",
            tenant.as_ref().or(own).map_or("*", Tenant::as_str),
            aggregate.as_ref().map_or("*", AggregateType::as_str),
            id.as_ref().map_or("*", AggregateId::as_str),
            name.as_ref().map_or("*", EventName::as_str)
        )
    }

    fn request(&self, after: u64, limit: u32) -> EventsRequest {
        let Self { tenant, aggregate, id, name } = self.clone();
        EventsRequest { after, limit, tenant, aggregate, id, name }
    }
}

/// An event of the log.
#[derive(Debug, Clone)]
pub struct PublishedEvent {
    /// Its place in the log.
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
    /// Its number in its aggregate.
    pub version: u64,
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

    fn read(event: LoggedEvent) -> Result<Self, Error> {
        let LoggedEvent { position, subject, id, event_type, schema_version, time, version, payload } = event;
        let data = RawValue::from_string(payload).map_err(|source| Error::Data { position, source })?;
        let id = id.to_string();
        Ok(Self { position, subject, id, event_type, schema_version, time, version, data })
    }
}

/// Events in position order, without a gap and without repeats.
pub struct EventStream {
    events: Pin<Box<dyn Stream<Item = Result<PublishedEvent, Error>> + Send>>,
    head: u64,
}

impl EventStream {
    /// The position of the log's last event when the stream was opened.
    pub fn head(&self) -> u64 {
        self.head
    }
}

impl Stream for EventStream {
    type Item = Result<PublishedEvent, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.events.as_mut().poll_next(context)
    }
}

/// Where a reader of the log is.
struct Reading {
    client: Client,
    filter: EventFilter,
    after: u64,
    read: VecDeque<LoggedEvent>,
    /// What to wait for at the head; none where the head as of the opening is the end.
    notices: Option<Subscriber>,
    head: u64,
    failed: bool,
}

impl Reading {
    async fn next(mut self) -> Option<(Result<PublishedEvent, Error>, Self)> {
        loop {
            if let Some(event) = self.read.pop_front() {
                return Some((PublishedEvent::read(event), self));
            }
            if self.failed || (self.notices.is_none() && self.after >= self.head) {
                return None;
            }
            if let Err(error) = self.turn_page().await {
                self.failed = true;
                return Some((Err(error), self));
            }
        }
    }

    /// Reads the next page, or waits for one.
    async fn turn_page(&mut self) -> Result<(), Error> {
        let page = match self.client.event_page(&self.filter, self.after, EVENTS_MAX).await {
            // Whoever follows for ever outlives an outage of the service.
            Err(Error::Page(QueryError::Unavailable { .. })) if self.notices.is_some() => {
                tokio::time::sleep(RETRY).await;
                return Ok(());
            }
            page => page?,
        };
        self.take(page);
        if self.read.is_empty() && self.after >= self.head {
            self.rest().await;
        }
        Ok(())
    }

    fn take(&mut self, page: EventPage) {
        let EventPage { data, position, head } = page;
        self.after = position;
        match self.notices {
            Some(_) => {
                self.head = head;
                self.read.extend(data);
            }
            None => self.read.extend(data.into_iter().filter(|event| event.position <= self.head)),
        }
    }

    /// Waits until there is perhaps more.
    async fn rest(&mut self) {
        let Some(notices) = &mut self.notices else { return };
        let notice = tokio::time::timeout(REST, notices.next()).await;
        if matches!(notice, Ok(None)) {
            // The connection is closed for good; the next question says so.
            tokio::time::sleep(RETRY).await;
        }
        // Many events are one question.
        while notices.next().now_or_never().flatten().is_some() {}
    }
}

impl Client {
    /// Follows the events that match `filter`, beginning at `from_position`, for ever.
    pub async fn events(&self, filter: &EventFilter, from_position: u64) -> Result<EventStream, Error> {
        // Before the first page: what comes after that page is noticed.
        let notices = self.nats().subscribe(filter.subject(self.tenant())).await;
        let notices = notices.map_err(|error| Error::Unavailable(Box::new(error)))?;
        self.read_events(filter, from_position, Some(notices)).await
    }

    /// The events that match `filter`, from `from_position` to the log's head as it is now.
    pub async fn events_to_head(
        &self,
        filter: &EventFilter,
        from_position: u64,
    ) -> Result<EventStream, Error> {
        self.read_events(filter, from_position, None).await
    }

    async fn read_events(
        &self,
        filter: &EventFilter,
        from_position: u64,
        notices: Option<Subscriber>,
    ) -> Result<EventStream, Error> {
        let after = from_position.max(FIRST_POSITION) - 1;
        // Now, so that whoever may not ask, or asks nobody, learns it at once.
        let page = self.event_page(filter, after, EVENTS_MAX).await?;
        let (client, filter, head) = (self.clone(), filter.clone(), page.head);
        let read = VecDeque::new();
        let mut reading = Reading { client, filter, after, read, notices, head, failed: false };
        reading.take(page);
        let events = futures::stream::unfold(reading, Reading::next);
        Ok(EventStream { events: Box::pin(events), head })
    }

    /// The position of the log's last event; 0 when there is none.
    pub async fn log_head(&self) -> Result<u64, Error> {
        let request = EventFilter::default().request(BEYOND_EVERY_LOG, 1);
        let page: EventPage = self.query(self.tenant(), name::EVENTS, &request).await?;
        Ok(page.head)
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

    async fn event_page(&self, filter: &EventFilter, after: u64, limit: u32) -> Result<EventPage, Error> {
        // The tenant in the subject is what the bus lets this client ask for.
        let asked = if self.tenant().is_system() { None } else { filter.tenant.as_ref() };
        let request = filter.request(after, limit);
        let page: EventPage = self.query(asked.unwrap_or(self.tenant()), name::EVENTS, &request).await?;
        let positions = page.data.iter().map(|event| event.position);
        let is_ordered = [after].into_iter().chain(positions).is_sorted_by(|one, next| one < next);
        if is_ordered && page.position >= page.data.last().map_or(after, |event| event.position) {
            Ok(page)
        } else {
            Err(Error::PageOutOfOrder { asked: after, position: page.position })
        }
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
    fn a_tenant_listens_to_its_own_events_and_the_operators_to_all() {
        let (acme, system) = (Tenant::parse("acme").unwrap(), Tenant::system());
        let named =
            EventFilter { name: Some(EventName::parse("key-created").unwrap()), ..EventFilter::default() };
        let of_acme = EventFilter { tenant: Some(acme.clone()), ..EventFilter::default() };
        for (filter, asking, subject) in [
            (EventFilter::default(), &acme, "nsl.v1.evt.acme.*.*.*"),
            (named, &acme, "nsl.v1.evt.acme.*.*.key-created"),
            (EventFilter::default(), &system, "nsl.v1.evt.*.*.*.*"),
            (of_acme, &system, "nsl.v1.evt.acme.*.*.*"),
        ] {
            assert_eq!(filter.subject(asking), subject);
        }
    }
}
