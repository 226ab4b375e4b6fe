//! Questions by request-reply, answered from a read model or the chain.

use std::time::Duration;

use async_nats::client::Request;
use async_nats::{Message, StatusCode};
use futures::StreamExt as _;
use nsl_schemas::canonical;
use nsl_schemas::query::Reply;
use nsl_schemas::subject;
use nsl_schemas::token::Tenant;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Client, Source};

/// After so long without a further answer, everybody has answered: they answer from memory.
const QUIET: Duration = Duration::from_millis(500);
/// Most answers to one question: more than there are hosts in a site.
const ANSWERS_MAX: usize = 64;

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The service answered with an error.
    #[error("{message} ({code})")]
    Answered {
        /// A stable code, see [`nsl_schemas::errors`].
        code: String,
        /// What happened.
        message: String,
    },
    /// The question cannot be written as JSON.
    #[error("question on {subject} cannot be written as json")]
    Question {
        /// Where it would have gone.
        subject: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// Nobody answers, or not in time.
    #[error("no answer on {subject}")]
    Unavailable {
        /// Where it was asked.
        subject: String,
        /// Why.
        #[source]
        source: Source,
    },
    /// The answer cannot be read.
    #[error("answer on {subject} cannot be read")]
    Malformed {
        /// Where it was asked.
        subject: String,
        /// What is wrong with it.
        #[source]
        source: canonical::Error,
    },
}

impl Client {
    /// Asks `question` under one of the names in [`nsl_schemas::query::name`].
    pub async fn query<Q: Serialize, R: DeserializeOwned>(
        &self,
        tenant: &Tenant,
        name: &str,
        question: &Q,
    ) -> Result<R, QueryError> {
        let subject = subject::query(tenant, name);
        let payload = written(question, &subject)?;
        let request = Request::new().payload(payload.into()).timeout(Some(self.query_timeout()));
        let answer = self.nats().send_request(subject.clone(), request).await;
        let answer = answer
            .map_err(|error| QueryError::Unavailable { subject: subject.clone(), source: Box::new(error) })?;
        read(&answer, &subject)
    }

    /// Asks a question that several processes answer, each for itself, and returns all answers.
    pub async fn query_all<Q: Serialize, R: DeserializeOwned>(
        &self,
        tenant: &Tenant,
        name: &str,
        question: &Q,
    ) -> Result<Vec<R>, QueryError> {
        let subject = subject::query(tenant, name);
        let unavailable = |source: Source| QueryError::Unavailable { subject: subject.clone(), source };
        let payload = written(question, &subject)?;
        let inbox = self.nats().new_inbox();
        let answers =
            self.nats().subscribe(inbox.clone()).await.map_err(|error| unavailable(Box::new(error)))?;
        let asked = self.nats().publish_with_reply(subject.clone(), inbox, payload.into()).await;
        asked.map_err(|error| unavailable(Box::new(error)))?;
        let mut answers = answers.take(ANSWERS_MAX);
        let mut all = Vec::new();
        let mut patience = self.query_timeout();
        while let Ok(Some(answer)) = tokio::time::timeout(patience, answers.next()).await {
            if answer.status == Some(StatusCode::NO_RESPONDERS) {
                break;
            }
            all.push(read(&answer, &subject)?);
            patience = QUIET;
        }
        if all.is_empty() { Err(unavailable("nobody answers".into())) } else { Ok(all) }
    }
}

fn written<Q: Serialize>(question: &Q, subject: &str) -> Result<Vec<u8>, QueryError> {
    serde_json::to_vec(question)
        .map_err(|source| QueryError::Question { subject: subject.to_owned(), source })
}

fn read<R: DeserializeOwned>(answer: &Message, subject: &str) -> Result<R, QueryError> {
    match canonical::from_slice(&answer.payload) {
        Ok(Reply::Ok(reply)) => Ok(reply),
        Ok(Reply::Error { code, message }) => Err(QueryError::Answered { code, message }),
        Err(source) => Err(QueryError::Malformed { subject: subject.to_owned(), source }),
    }
}
