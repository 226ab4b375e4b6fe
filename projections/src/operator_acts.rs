//! Answers the question `operator-acts`: what the operators decided, as the log holds it. Whoever asks proves it for himself,
//! so every tenant may.

use std::sync::Arc;

use nsl_bus::Bus;
use nsl_bus::async_nats::Message;
use nsl_bus::request::{self, Reply as BusReply};
use nsl_event_store::{EventReader, Filter, ReadError};
use nsl_schemas::authority::{OperatorStatement, Signed};
use nsl_schemas::errors::{self, ErrorCode};
use nsl_schemas::event::DecodeError;
use nsl_schemas::event::authority::AuthorityEvent;
use nsl_schemas::query::{Page, PageRequest, Reply, name};
use nsl_schemas::token::Tenant;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::queries::{self, QUESTION_BYTES_MAX, encoded, endpoint, page_request};

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

/// The acts up to a position, which are few and never change.
#[derive(Debug, Default)]
struct Known {
    position: u64,
    acts: Vec<Signed<OperatorStatement>>,
}

/// Serves the acts that `log` holds until `stop`.
pub async fn serve(log: EventReader, bus: Bus, stop: CancellationToken) -> Result<(), request::Error> {
    let known = Arc::new(Mutex::new(Known::default()));
    let handler = move |message: Message| {
        let (log, known) = (log.clone(), Arc::clone(&known));
        async move { reply(&log, &known, &message).await }
    };
    bus.serve(endpoint(name::OPERATOR_ACTS), stop, handler).await
}

async fn reply(log: &EventReader, known: &Mutex<Known>, message: &Message) -> BusReply {
    let reply = match answer(log, known, &message.payload).await {
        Ok(page) => Reply::Ok(page),
        Err(error) => {
            if !matches!(error, Error::Question(_)) {
                tracing::error!(error = &error as &dyn std::error::Error, "operators' acts are not told");
            }
            Reply::Error { code: error.code().code.to_owned(), message: error.to_string() }
        }
    };
    BusReply { payload: encoded(&reply).into(), ..BusReply::default() }
}

async fn answer(
    log: &EventReader,
    known: &Mutex<Known>,
    question: &[u8],
) -> Result<Page<Signed<OperatorStatement>>, Error> {
    if question.len() > QUESTION_BYTES_MAX {
        let message = format!("a question has at most {QUESTION_BYTES_MAX} bytes");
        return Err(queries::Error::Invalid(message).into());
    }
    let question = page_request(question)?;
    let mut known = known.lock().await;
    known.catch_up(log).await?;
    Ok(page(&known.acts, &question)?)
}

impl Known {
    async fn catch_up(&mut self, log: &EventReader) -> Result<(), Error> {
        let filter = Filter {
            tenant: Some(Tenant::system().to_string()),
            aggregate_types: vec!["authority".to_owned()],
            ..Filter::default()
        };
        loop {
            let page = log.read(self.position, PAGE_EVENTS, &filter).await?;
            for event in &page.events {
                let position = event.position;
                let decoded: AuthorityEvent =
                    event.stored().decode().map_err(|source| Error::Event { position, source })?;
                self.acts.extend(decoded.into_operator_act());
            }
            self.position = page.position;
            if page.position >= page.head {
                return Ok(());
            }
        }
    }
}

/// The acts after a sequence; acts count from 1, so a sequence is how many there are up to it.
fn page(
    acts: &[Signed<OperatorStatement>],
    question: &PageRequest,
) -> Result<Page<Signed<OperatorStatement>>, queries::Error> {
    let after = queries::position(question.after.as_deref())?.unwrap_or(0);
    let rest = usize::try_from(after).ok().and_then(|after| acts.get(after..)).unwrap_or_default();
    let limit = usize::try_from(question.limit).unwrap_or(usize::MAX);
    let data: Vec<_> = rest.iter().take(limit).cloned().collect();
    let is_last = data.len() == rest.len();
    let next = data.last().filter(|_| !is_last).map(|act| act.statement.sequence.to_string());
    Ok(Page { data, next })
}

#[cfg(test)]
mod tests {
    use nsl_schemas::authority::OperatorAct;
    use nsl_schemas::bytes::Sha256;
    use nsl_schemas::nkey::SigningKey;

    use super::*;

    fn acts(count: u32) -> Vec<Signed<OperatorStatement>> {
        let key = SigningKey::from_seed(&[1; 32]).public();
        let statement = |sequence| OperatorStatement {
            act: OperatorAct::RevokeWorker { key },
            epoch: 0,
            genesis_sha256: Sha256([0; 32]),
            issued_at_ms: 0,
            previous_sha256: Sha256([0; 32]),
            sequence,
        };
        (1..=count).map(|sequence| Signed { statement: statement(sequence), signatures: vec![] }).collect()
    }

    #[test]
    fn pages_go_on_after_a_sequence() {
        let acts = acts(5);
        for (after, limit, expected, next) in [
            (None, 2, vec![1, 2], Some("2")),
            (Some("2"), 2, vec![3, 4], Some("4")),
            (Some("4"), 2, vec![5], None),
            (Some("5"), 2, vec![], None),
            (Some("99"), 2, vec![], None),
            (None, 5, vec![1, 2, 3, 4, 5], None),
        ] {
            let question = PageRequest { limit, after: after.map(str::to_owned) };
            let page = page(&acts, &question).unwrap();
            let sequences: Vec<u32> = page.data.iter().map(|act| act.statement.sequence).collect();
            assert_eq!((sequences, page.next.as_deref()), (expected, next), "{after:?}");
        }
        let malformed = PageRequest { limit: 1, after: Some("main".into()) };
        assert!(page(&acts, &malformed).is_err());
    }
}
