//! Answers the question `events`: pages of the log by request-reply, each tenant its own.
//!
//! Whoever may create a consumer of the event stream may read all of it, so tenants read pages instead. The tenant stands
//! in the subject, which the bus lets only that tenant's account ask; nothing in the question widens it.

use nsl_bus::Bus;
use nsl_bus::async_nats::Message;
use nsl_bus::request::{self, Reply as BusReply};
use nsl_event_store::{EventReader, Filter, Page, ReadError, RecordedEvent};
use nsl_schemas::errors::{self, ErrorCode};
use nsl_schemas::query::{EVENTS_MAX, EventPage, EventsRequest, LoggedEvent, Reply, name};
use nsl_schemas::token::Tenant;
use nsl_schemas::{canonical, subject};
use tokio_util::sync::CancellationToken;

use crate::cloud_event;
use crate::queries::{QUESTION_BYTES_MAX, encoded, endpoint};

/// A page ends with the event that takes it beyond this many bytes. As JSON inside JSON a payload at most doubles, so a
/// page with the largest event still fits into one message of 1 MiB.
const PAGE_BYTES: usize = 256 * 1024;

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The question is malformed, or asks for what this tenant may not have.
    #[error("{0}")]
    Invalid(String),
    /// The log cannot be read.
    #[error("the log cannot be read")]
    Log(#[from] ReadError),
    /// The log holds an event that has no published form.
    #[error("event at position {position} cannot be told")]
    Event {
        /// Which.
        position: u64,
        /// Why.
        #[source]
        source: cloud_event::Error,
    },
}

impl Error {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Invalid(_) => errors::QUERY_INVALID,
            Self::Log(_) | Self::Event { .. } => errors::UNAVAILABLE,
        }
    }
}

/// Serves pages of `log` until `stop`.
pub async fn serve(log: EventReader, bus: Bus, stop: CancellationToken) -> Result<(), request::Error> {
    let handler = move |message: Message| {
        let log = log.clone();
        async move { reply(&log, &message).await }
    };
    bus.serve(endpoint(name::EVENTS), stop, handler).await
}

async fn reply(log: &EventReader, message: &Message) -> BusReply {
    let reply = match answer(log, message).await {
        Ok(page) => Reply::Ok(page),
        Err(error) => {
            if !matches!(error, Error::Invalid(_)) {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a page of the log is not answered"
                );
            }
            Reply::Error { code: error.code().code.to_owned(), message: error.to_string() }
        }
    };
    BusReply { payload: encoded(&reply).into(), ..BusReply::default() }
}

async fn answer(log: &EventReader, message: &Message) -> Result<EventPage, Error> {
    let invalid = |error: &dyn std::error::Error| Error::Invalid(error.to_string());
    let asking = subject::query_tenant(&message.subject).map_err(|error| invalid(&error))?;
    if message.payload.len() > QUESTION_BYTES_MAX {
        return Err(Error::Invalid(format!("a question has at most {QUESTION_BYTES_MAX} bytes")));
    }
    let question: EventsRequest = canonical::from_slice(&message.payload).map_err(|error| invalid(&error))?;
    if !(1..=EVENTS_MAX).contains(&question.limit) {
        return Err(Error::Invalid(format!("limit is {}, allowed are 1 to {EVENTS_MAX}", question.limit)));
    }
    let filter = filter(&asking, &question)?;
    page(log.read(question.after, question.limit, &filter).await?, &question)
}

/// Only the operators' tenant sees beyond itself.
fn filter(asking: &Tenant, question: &EventsRequest) -> Result<Filter, Error> {
    let tenant = match &question.tenant {
        asked if asking.is_system() => asked.as_ref(),
        Some(other) if other != asking => {
            return Err(Error::Invalid(format!("tenant {asking} may not ask for events of tenant {other}")));
        }
        _ => Some(asking),
    };
    Ok(Filter {
        tenant: tenant.map(ToString::to_string),
        aggregate_types: question.aggregate.iter().map(ToString::to_string).collect(),
        event_type: question.name.as_ref().map(ToString::to_string),
    })
}

fn page(found: Page, question: &EventsRequest) -> Result<EventPage, Error> {
    let Page { events, mut position, head } = found;
    let mut data = Vec::with_capacity(events.len());
    let mut bytes = 0;
    let last = events.last().map(|event| event.position);
    for event in events {
        if question.id.as_ref().is_some_and(|id| !is_of(&event, id.as_str())) {
            continue;
        }
        bytes += event.payload.len();
        data.push(logged(&event)?);
        if bytes > PAGE_BYTES && Some(event.position) != last {
            position = event.position;
            break;
        }
    }
    Ok(EventPage { data, position, head })
}

fn is_of(event: &RecordedEvent, id: &str) -> bool {
    event.aggregate_id.split_once('.').is_some_and(|(_, own)| own == id)
}

/// The event with the attributes that it is published with.
fn logged(event: &RecordedEvent) -> Result<LoggedEvent, Error> {
    let position = event.position;
    let names = cloud_event::names(event).map_err(|source| Error::Event { position, source })?;
    Ok(LoggedEvent {
        position,
        id: event.event_id,
        event_type: names.event_type,
        schema_version: event.event_version.clone(),
        time: names.time,
        version: event.sequence,
        payload: event.payload.clone(),
        subject: names.subject,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn event(position: u64, id: &str, payload_bytes: usize) -> RecordedEvent {
        RecordedEvent {
            position,
            aggregate_type: "wallet".into(),
            aggregate_id: format!("acme.{id}"),
            sequence: 1,
            event_id: Uuid::from_u128(7),
            command_id: Uuid::nil(),
            event_type: "key-created".into(),
            event_version: "1.0.0".into(),
            payload: format!("\"{}\"", "x".repeat(payload_bytes)),
            metadata: "{}".into(),
            recorded_at_ms: 1_700_000_000_123,
            content_hash: [0; 32],
        }
    }

    fn question(id: Option<&str>) -> EventsRequest {
        let id = id.map(|id| id.parse().unwrap());
        EventsRequest { after: 0, limit: 100, tenant: None, aggregate: None, id, name: None }
    }

    fn positions(page: &EventPage) -> Vec<u64> {
        page.data.iter().map(|event| event.position).collect()
    }

    #[test]
    fn a_page_of_large_events_is_cut_and_goes_on_after_its_last_one() {
        let events: Vec<_> = (1..=4).map(|position| event(position, "main", PAGE_BYTES)).collect();
        let cut = page(Page { events: events.clone(), position: 9, head: 9 }, &question(None)).unwrap();
        assert_eq!((positions(&cut), cut.position, cut.head), (vec![1], 1, 9));
        let rest = Page { events: events[3..].to_vec(), position: 9, head: 9 };
        assert_eq!(page(rest, &question(None)).unwrap().position, 9, "the last event cuts nothing off");
    }

    #[test]
    fn events_of_other_ids_are_left_out_and_passed() {
        let events = vec![event(1, "main", 1), event(2, "other", 1), event(3, "main", 1), event(4, "x", 1)];
        let found = page(Page { events, position: 4, head: 4 }, &question(Some("main"))).unwrap();
        assert_eq!((positions(&found), found.position), (vec![1, 3], 4));
    }

    #[test]
    fn a_tenant_cannot_ask_beyond_itself_and_the_operators_can() {
        let tenant = |name: &str| Tenant::parse(name).unwrap();
        for (asking, asked, expected) in [
            ("acme", None, Some(Some("acme"))),
            ("acme", Some("acme"), Some(Some("acme"))),
            ("acme", Some("other"), None),
            ("acme", Some("system"), None),
            ("system", None, Some(None)),
            ("system", Some("acme"), Some(Some("acme"))),
        ] {
            let question = EventsRequest { tenant: asked.map(tenant), ..question(None) };
            let found = filter(&tenant(asking), &question).ok().map(|filter| filter.tenant);
            assert_eq!(
                found,
                expected.map(|tenant: Option<&str>| tenant.map(str::to_owned)),
                "{asking} {asked:?}"
            );
        }
    }
}
