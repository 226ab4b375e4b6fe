//! Questions by request-reply, answered from a read model or the chain.

use async_nats::client::Request;
use nsl_schemas::canonical;
use nsl_schemas::query::Reply;
use nsl_schemas::subject;
use nsl_schemas::token::Tenant;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Client, Source};

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
        let payload = serde_json::to_vec(question)
            .map_err(|source| QueryError::Question { subject: subject.clone(), source })?;
        let request = Request::new().payload(payload.into()).timeout(Some(self.query_timeout()));
        let answer = self.nats().send_request(subject.clone(), request).await;
        let answer = answer
            .map_err(|error| QueryError::Unavailable { subject: subject.clone(), source: Box::new(error) })?;
        match canonical::from_slice(&answer.payload) {
            Ok(Reply::Ok(reply)) => Ok(reply),
            Ok(Reply::Error { code, message }) => Err(QueryError::Answered { code, message }),
            Err(source) => Err(QueryError::Malformed { subject, source }),
        }
    }
}
