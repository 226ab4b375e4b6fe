//! A question that is answered with a list of the log: a few things of one aggregate type, in an order of their own, that
//! never change. Whoever asks proves each for himself.

use std::sync::Arc;

use nsl_bus::Bus;
use nsl_bus::async_nats::Message;
use nsl_bus::request::{self, Endpoint, Reply as BusReply};
use nsl_event_store::{EventReader, Filter, ReadError};
use nsl_schemas::errors::{self, ErrorCode};
use nsl_schemas::event::{DecodeError, Stored};
use nsl_schemas::query::{Page, PageRequest, Reply};
use nsl_schemas::token::Tenant;
use serde::Serialize;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::queries::{self, QUESTION_BYTES_MAX, encoded, page_request};

/// Events of the log read at once.
const PAGE_EVENTS: u32 = 500;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Question(#[from] queries::Error),
    #[error("the log cannot be read")]
    Log(#[from] ReadError),
    #[error("event at position {position} cannot be read")]
    Event {
        position: u64,
        #[source]
        source: DecodeError,
    },
}

impl Error {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Question(error) => error.code(),
            Self::Log(_) | Self::Event { .. } => errors::UNAVAILABLE,
        }
    }
}

/// Which list, and how it is told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Definition<T> {
    /// The question's name, for the log of the service.
    pub(crate) name: &'static str,
    /// The aggregate type of the events that it is made of, in the tenant `system`.
    pub(crate) aggregate_type: &'static str,
    /// What an event adds.
    pub(crate) read: fn(Stored<'_>) -> Result<Option<T>, DecodeError>,
    /// The number of one, from 1 and without gaps: `after` of a question and `next` of an answer.
    pub(crate) number: fn(&T) -> u32,
    /// Most of one answer: it holds at most a megabyte.
    pub(crate) page_max: u32,
}

/// The list up to a position.
#[derive(Debug)]
struct Known<T> {
    position: u64,
    told: Vec<T>,
}

/// Serves the list that `log` holds until `stop`.
pub(crate) async fn serve<T: Clone + Send + Serialize + 'static>(
    definition: Definition<T>,
    endpoint: Endpoint,
    log: EventReader,
    bus: Bus,
    stop: CancellationToken,
) -> Result<(), request::Error> {
    let known = Arc::new(Mutex::new(Known { position: 0, told: Vec::new() }));
    let handler = move |message: Message| {
        let (log, known, definition) = (log.clone(), Arc::clone(&known), definition.clone());
        async move { reply(&definition, &log, &known, &message).await }
    };
    bus.serve(endpoint, stop, handler).await
}

async fn reply<T: Clone + Serialize>(
    definition: &Definition<T>,
    log: &EventReader,
    known: &Mutex<Known<T>>,
    message: &Message,
) -> BusReply {
    let reply = match answer(definition, log, known, &message.payload).await {
        Ok(page) => Reply::Ok(page),
        Err(error) => {
            if !matches!(error, Error::Question(_)) {
                let question = definition.name;
                tracing::error!(question, error = &error as &dyn std::error::Error, "list is not told");
            }
            Reply::Error { code: error.code().code.to_owned(), message: error.to_string() }
        }
    };
    BusReply { payload: encoded(&reply).into(), ..BusReply::default() }
}

async fn answer<T: Clone>(
    definition: &Definition<T>,
    log: &EventReader,
    known: &Mutex<Known<T>>,
    question: &[u8],
) -> Result<Page<T>, Error> {
    if question.len() > QUESTION_BYTES_MAX {
        let message = format!("a question has at most {QUESTION_BYTES_MAX} bytes");
        return Err(queries::Error::Invalid(message).into());
    }
    let question = page_request(question)?;
    let mut known = known.lock().await;
    known.catch_up(definition, log).await?;
    Ok(page(definition, &known.told, &question)?)
}

impl<T> Known<T> {
    async fn catch_up(&mut self, definition: &Definition<T>, log: &EventReader) -> Result<(), Error> {
        let filter = Filter {
            tenant: Some(Tenant::system().to_string()),
            aggregate_types: vec![definition.aggregate_type.to_owned()],
            ..Filter::default()
        };
        loop {
            let page = log.read(self.position, PAGE_EVENTS, &filter).await?;
            for event in &page.events {
                let position = event.position;
                let read = (definition.read)(event.stored());
                self.told.extend(read.map_err(|source| Error::Event { position, source })?);
            }
            self.position = page.position;
            if page.position >= page.head {
                return Ok(());
            }
        }
    }
}

/// Those after a number; numbers count from 1, so a number is how many there are up to it.
fn page<T: Clone>(
    definition: &Definition<T>,
    told: &[T],
    question: &PageRequest,
) -> Result<Page<T>, queries::Error> {
    let after = queries::position(question.after.as_deref())?.unwrap_or(0);
    let rest = usize::try_from(after).ok().and_then(|after| told.get(after..)).unwrap_or_default();
    let limit = usize::try_from(question.limit.min(definition.page_max)).unwrap_or(usize::MAX);
    let data: Vec<_> = rest.iter().take(limit).cloned().collect();
    let is_last = data.len() == rest.len();
    let next = data.last().filter(|_| !is_last).map(|last| (definition.number)(last).to_string());
    Ok(Page { data, next })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBERS: Definition<u32> = Definition {
        name: "numbers",
        aggregate_type: "authority",
        read: |_| Ok(None),
        number: |number| *number,
        page_max: 3,
    };

    #[test]
    fn pages_go_on_after_a_number() {
        let numbers = [1, 2, 3, 4, 5];
        for (after, limit, expected, next) in [
            (None, 2, vec![1, 2], Some("2")),
            (Some("2"), 2, vec![3, 4], Some("4")),
            (Some("4"), 2, vec![5], None),
            (Some("5"), 2, vec![], None),
            (Some("99"), 2, vec![], None),
            (None, 100, vec![1, 2, 3], Some("3")),
            (Some("2"), 100, vec![3, 4, 5], None),
        ] {
            let question = PageRequest { limit, after: after.map(str::to_owned) };
            let page = page(&NUMBERS, &numbers, &question).unwrap();
            assert_eq!((page.data, page.next.as_deref()), (expected, next), "{after:?}");
        }
        let malformed = PageRequest { limit: 1, after: Some("main".into()) };
        assert!(page(&NUMBERS, &numbers, &malformed).is_err());
    }
}
