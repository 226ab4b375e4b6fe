//! Answers questions by request-reply on `nsl.v1.qry.<tenant>.<name>` from the read models.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use nsl_bus::async_nats::Message;
use nsl_bus::request::{self, Endpoint};
use nsl_bus::{Bus, request::Reply as BusReply};
use nsl_schemas::errors::{self, ErrorCode};
use nsl_schemas::query::{ById, Page, PageRequest, ROWS_MAX, Reply, name};
use nsl_schemas::token::{AggregateId, Tenant};
use nsl_schemas::{canonical, subject};
use serde::Serialize;
use serde_json::Value;
use sqlx::postgres::PgPool;
use tokio_util::sync::CancellationToken;

use crate::database::lacks_table;
use crate::progress::Progress;
use crate::read_model::{PRICES, SECRETS, SIGNING_REQUESTS, WALLETS};
use crate::{prices, secrets, signing_requests, transactions, wallets};

/// All processes that answer share the questions.
const QUEUE: &str = "nsl-projections";
/// Questions of one name answered at once: more than the pool has sessions, so that none idles; the rest wait.
const CONCURRENT: NonZeroUsize = NonZeroUsize::new(32).expect("32 is not 0");
/// Longest question: a name, two short fields.
pub(crate) const QUESTION_BYTES_MAX: usize = 4096;
/// How long a reader of its own writes is kept waiting; a healthy projection is behind by milliseconds.
const POSITION_PATIENCE: Duration = Duration::from_secs(2);

/// What is answered here; the chain relay answers the rest.
pub const NAMES: [&str; 10] = [
    name::WALLET,
    name::WALLETS,
    name::SIGNING_REQUEST,
    name::SIGNING_REQUESTS,
    name::TRANSACTIONS,
    name::PRICE,
    name::PRICES,
    name::SECRET,
    name::SECRETS,
    name::PROJECTIONS,
];

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such thing.
    #[error("there is no {what} {id:?}")]
    NotFound {
        /// What was asked for.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// The question is malformed.
    #[error("{0}")]
    Invalid(String),
    /// The read model did not reach the position in time.
    #[error("projection {projection} is at position {position} and did not reach {asked} in time{}", because(.reason.as_deref()))]
    Behind {
        /// Which.
        projection: &'static str,
        /// Where it is.
        position: u64,
        /// What was asked for.
        asked: u64,
        /// Why it stopped, if it did.
        reason: Option<String>,
    },
    /// The read model has not been built yet.
    #[error("the read model is being built")]
    Building(#[source] sqlx::Error),
    /// The database does not answer.
    #[error("read models cannot be read")]
    Unavailable(#[source] sqlx::Error),
}

impl From<sqlx::Error> for Error {
    fn from(source: sqlx::Error) -> Self {
        if lacks_table(&source) { Self::Building(source) } else { Self::Unavailable(source) }
    }
}

fn because(reason: Option<&str>) -> String {
    reason.map_or_else(String::new, |reason| format!(": {reason}"))
}

impl Error {
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            Self::NotFound { .. } => errors::NOT_FOUND,
            Self::Invalid(_) => errors::QUERY_INVALID,
            Self::Behind { .. } | Self::Building(_) | Self::Unavailable(_) => errors::UNAVAILABLE,
        }
    }
}

/// Answers questions.
#[derive(Debug)]
pub struct Queries {
    /// Sees the tables that are served.
    pub pool: PgPool,
    /// Every follower, in the order in which they are listed.
    pub progress: Vec<Progress>,
}

impl Queries {
    /// Serves the questions of one name until `stop`.
    pub async fn serve(
        self: Arc<Self>,
        bus: Bus,
        name: &'static str,
        stop: CancellationToken,
    ) -> Result<(), request::Error> {
        let handler = move |message: Message| {
            let queries = Arc::clone(&self);
            async move { queries.reply(name, &message).await }
        };
        bus.serve(endpoint(name), stop, handler).await
    }

    async fn reply(&self, name: &'static str, message: &Message) -> BusReply {
        let reply = match self.answer(name, message).await {
            Ok(value) => Reply::Ok(value),
            Err(error) => {
                if let Error::Unavailable(source) = &error {
                    tracing::error!(
                        question = name,
                        error = source as &dyn std::error::Error,
                        "read models cannot be read"
                    );
                }
                Reply::Error { code: error.code().code.to_owned(), message: error.to_string() }
            }
        };
        BusReply { payload: encoded(&reply).into(), ..BusReply::default() }
    }

    async fn answer(&self, name: &'static str, message: &Message) -> Result<Value, Error> {
        let tenant =
            subject::query_tenant(&message.subject).map_err(|error| Error::Invalid(error.to_string()))?;
        let question = &message.payload;
        if question.len() > QUESTION_BYTES_MAX {
            return Err(Error::Invalid(format!("a question has at most {QUESTION_BYTES_MAX} bytes")));
        }
        match name {
            name::WALLET | name::SIGNING_REQUEST | name::PRICE | name::SECRET => {
                self.one(name, &tenant, question).await
            }
            name::PROJECTIONS => Ok(self.projections()),
            _ => self.many(name, &tenant, question).await,
        }
    }

    async fn one(&self, name: &'static str, tenant: &Tenant, question: &[u8]) -> Result<Value, Error> {
        let ById { id, at_position } = parsed(question)?;
        let id = checked(&id)?;
        let found = match name {
            name::WALLET => {
                self.wait_for(WALLETS.name, at_position).await?;
                wallets::find(&self.pool, tenant, &id).await?.map(value)
            }
            name::SIGNING_REQUEST => {
                self.wait_for(SIGNING_REQUESTS.name, at_position).await?;
                signing_requests::find(&self.pool, tenant, &id).await?.map(value)
            }
            name::SECRET => {
                self.wait_for(SECRETS.name, at_position).await?;
                secrets::find(&self.pool, tenant, &id).await?.map(value)
            }
            // Prices are the service's own, for every tenant to read.
            _ => {
                self.wait_for(PRICES.name, at_position).await?;
                prices::find(&self.pool, &Tenant::system(), &id).await?.map(value)
            }
        };
        found.ok_or(Error::NotFound { what: name, id })
    }

    async fn many(&self, name: &'static str, tenant: &Tenant, question: &[u8]) -> Result<Value, Error> {
        let PageRequest { limit, after } = page_request(question)?;
        Ok(match name {
            name::WALLETS => value(wallets::list(&self.pool, tenant, after.as_deref(), limit).await?),
            name::SIGNING_REQUESTS => {
                let before = position(after.as_deref())?;
                value(signing_requests::list(&self.pool, tenant, before, limit).await?)
            }
            name::TRANSACTIONS => {
                let before = position(after.as_deref())?;
                value(transactions::list(&self.pool, tenant, before, limit).await?)
            }
            name::SECRETS => value(secrets::list(&self.pool, tenant, after.as_deref(), limit).await?),
            _ => value(prices::list(&self.pool, &Tenant::system(), after.as_deref(), limit).await?),
        })
    }

    fn projections(&self) -> Value {
        value(Page { data: self.progress.iter().map(Progress::status).collect(), next: None })
    }

    async fn wait_for(&self, projection: &'static str, at_position: Option<u64>) -> Result<(), Error> {
        let Some(asked) = at_position else { return Ok(()) };
        let Some(progress) = self.progress.iter().find(|progress| progress.name() == projection) else {
            return Ok(());
        };
        if progress.reaches(asked, POSITION_PATIENCE).await {
            return Ok(());
        }
        let status = progress.status();
        Err(Error::Behind { projection, position: status.position, asked, reason: status.error })
    }
}

/// Where one question is served, for every tenant.
pub(crate) fn endpoint(name: &str) -> Endpoint {
    Endpoint {
        subject: subject::query_of_all_tenants(name),
        queue: QUEUE.to_owned(),
        max_concurrent: CONCURRENT,
    }
}

fn parsed<T: serde::de::DeserializeOwned>(question: &[u8]) -> Result<T, Error> {
    canonical::from_slice(question).map_err(|error| Error::Invalid(error.to_string()))
}

/// Whatever is asked for by id, and whatever a page begins after, is a token; nothing else reaches the database.
fn checked(id: &str) -> Result<String, Error> {
    AggregateId::parse(id).map(String::from).map_err(|error| Error::Invalid(error.to_string()))
}

/// An empty question asks for the first page: `nats req` needs no JSON for it.
pub(crate) fn page_request(question: &[u8]) -> Result<PageRequest, Error> {
    if question.is_empty() {
        return Ok(PageRequest { limit: ROWS_MAX, after: None });
    }
    let request: PageRequest = parsed(question)?;
    request.after.as_deref().map(checked).transpose()?;
    if (1..=ROWS_MAX).contains(&request.limit) {
        Ok(request)
    } else {
        Err(Error::Invalid(format!("limit is {}, allowed are 1 to {ROWS_MAX}", request.limit)))
    }
}

pub(crate) fn position(after: Option<&str>) -> Result<Option<u64>, Error> {
    let parse =
        |text: &str| text.parse().map_err(|_| Error::Invalid("after is not the next of a page".to_owned()));
    after.map(parse).transpose()
}

fn value<T: Serialize>(answer: T) -> Value {
    serde_json::to_value(answer).expect("answers have string keys and nothing that JSON cannot say")
}

pub(crate) fn encoded<T: Serialize>(reply: &Reply<T>) -> Vec<u8> {
    serde_json::to_vec(reply).expect("answers have string keys and nothing that JSON cannot say")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_request_is_bounded() {
        for (question, expected) in [
            ("", Some((ROWS_MAX, None))),
            (r#"{"limit":1}"#, Some((1, None))),
            (r#"{"limit":100,"after":"main"}"#, Some((100, Some("main")))),
            (r#"{"limit":0}"#, None),
            (r#"{"limit":101}"#, None),
            (r#"{"limit":-1}"#, None),
            (r#"{"limit":1,"more":1}"#, None),
            ("{", None),
        ] {
            let found = page_request(question.as_bytes());
            match expected {
                Some((limit, after)) => {
                    let after = after.map(str::to_owned);
                    assert_eq!(found.unwrap(), PageRequest { limit, after }, "{question}");
                }
                None => assert_eq!(found.unwrap_err().code(), errors::QUERY_INVALID, "{question}"),
            }
        }
    }

    #[test]
    fn a_page_of_positions_continues_from_a_position() {
        assert_eq!(position(None).unwrap(), None);
        assert_eq!(position(Some("17")).unwrap(), Some(17));
        for after in ["", "-1", "main", "99999999999999999999"] {
            assert!(matches!(position(Some(after)), Err(Error::Invalid(_))), "{after}");
        }
    }
}
