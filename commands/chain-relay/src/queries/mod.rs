//! Questions that only a node can answer: `transfer-quote` and `balances`.

mod balances;
mod network_terms;
mod transfer_quote;

use std::future::Future;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;

use async_nats::Message;
use nsl_bus::Bus;
use nsl_bus::request::{self, Endpoint};
use nsl_neo_rpc::Client;
use nsl_schemas::errors::{self, ErrorCode};
use nsl_schemas::query::{Reply, name};
use nsl_schemas::{canonical, subject};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;
use network_terms::NetworkTerms;

/// The queue group of all relays: each question is answered once.
const QUEUE: &str = "chain-relay";

/// Questions of one name answered at once; each costs the node a dry run or more.
const CONCURRENT_MAX: NonZeroUsize = NonZeroUsize::new(16).expect("16 is not 0");

/// Longest question: its fields' longest sensible texts add up to less than 400 bytes.
const QUESTION_BYTES_MAX: usize = 4096;

/// Why a question has no answer, as its sender hears it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Refusal {
    code: ErrorCode,
    message: String,
}

impl Refusal {
    fn invalid(message: impl Into<String>) -> Self {
        Self { code: errors::QUERY_INVALID, message: message.into() }
    }
}

impl From<nsl_neo_rpc::Error> for Refusal {
    fn from(error: nsl_neo_rpc::Error) -> Self {
        tracing::warn!(error = &error as &dyn std::error::Error, "a question was not answered by the node");
        match error {
            nsl_neo_rpc::Error::Rpc { message, .. } => Self { code: errors::NODE_REJECTED, message },
            other => Self { code: errors::UNAVAILABLE, message: other.to_string() },
        }
    }
}

/// Answers questions.
#[derive(Debug)]
pub(crate) struct Questions {
    node: Arc<Client>,
    terms: NetworkTerms,
    valid_for_blocks: NonZeroU32,
    metrics: Metrics,
}

impl Questions {
    pub(crate) fn new(node: Arc<Client>, valid_for_blocks: NonZeroU32, metrics: Metrics) -> Self {
        Self { terms: NetworkTerms::new(Arc::clone(&node)), node, valid_for_blocks, metrics }
    }

    /// Answers until `stop`; what was received before is answered.
    pub(crate) async fn serve(
        self: Arc<Self>,
        bus: &Bus,
        stop: CancellationToken,
    ) -> Result<(), request::Error> {
        let (quotes, balances) = (Arc::clone(&self), self);
        let quotes = bus.serve(endpoint(name::TRANSFER_QUOTE), stop.clone(), move |message| {
            let questions = Arc::clone(&quotes);
            async move {
                let answer = answer(&message, |question| questions.transfer_quote(question)).await;
                questions.reply(name::TRANSFER_QUOTE, answer)
            }
        });
        let balances = bus.serve(endpoint(name::BALANCES), stop, move |message| {
            let questions = Arc::clone(&balances);
            async move {
                let answer = answer(&message, |question| questions.balances(question)).await;
                questions.reply(name::BALANCES, answer)
            }
        });
        tokio::try_join!(quotes, balances).map(|_| ())
    }

    fn reply<T: Serialize>(&self, name: &str, answer: Result<T, Refusal>) -> request::Reply {
        let code = answer.as_ref().map_or_else(|refusal| refusal.code.code, |_| "ok");
        self.metrics.answered(name, code);
        let reply = match answer {
            Ok(answer) => Reply::Ok(answer),
            Err(Refusal { code, message }) => Reply::Error { code: code.code.to_owned(), message },
        };
        request::Reply { payload: canonical::to_string(&reply).into(), ..request::Reply::default() }
    }
}

fn endpoint(name: &str) -> Endpoint {
    Endpoint {
        subject: subject::query_of_all_tenants(name),
        queue: QUEUE.to_owned(),
        max_concurrent: CONCURRENT_MAX,
    }
}

async fn answer<Q, T, F, Fut>(message: &Message, ask: F) -> Result<T, Refusal>
where
    Q: DeserializeOwned,
    F: FnOnce(Q) -> Fut,
    Fut: Future<Output = Result<T, Refusal>>,
{
    if message.payload.len() > QUESTION_BYTES_MAX {
        return Err(Refusal::invalid(format!("a question has at most {QUESTION_BYTES_MAX} bytes")));
    }
    ask(canonical::from_slice(&message.payload).map_err(|error| Refusal::invalid(error.to_string()))?).await
}
