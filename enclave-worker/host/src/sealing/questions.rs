//! Answers custodians' questions, `sealing` and `sealing-workers`.

use std::num::NonZeroUsize;
use std::sync::Arc;

use async_nats::Message;
use nsl_bus::Bus;
use nsl_bus::request::{self, Endpoint};
use nsl_schemas::errors;
use nsl_schemas::query::{Page, Reply, name};
use nsl_schemas::sealing::{SealingAnswer, SealingQuestion, SealingReply, SealingRequest, SealingWorker};
use nsl_schemas::token::Tenant;
use nsl_schemas::{canonical, subject};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{Error, Relay};

/// Questions at once: people ask them.
const CONCURRENT_MAX: NonZeroUsize = NonZeroUsize::new(4).expect("4 is not 0");

impl Error {
    fn code(&self) -> &str {
        match self {
            Self::Failed { code, .. } => code,
            Self::UnknownWorker(_) => errors::NOT_FOUND.code,
            Self::Call(_)
            | Self::Malformed(_)
            | Self::Unexpected
            | Self::NoWorker
            | Self::Credentials(_)
            | Self::Records(_) => errors::UNAVAILABLE.code,
        }
    }
}

impl Relay {
    /// Answers until `stop`.
    pub(crate) async fn serve(
        self: Arc<Self>,
        bus: &Bus,
        stop: CancellationToken,
    ) -> Result<(), request::Error> {
        let (one, all) = (Arc::clone(&self), self);
        let one = bus.serve(endpoint(name::SEALING), stop.clone(), move |message| {
            let relay = Arc::clone(&one);
            async move { relay.pass_on(&message).await }
        });
        let all = bus.serve(endpoint(name::SEALING_WORKERS), stop, move |_| {
            let relay = Arc::clone(&all);
            async move { reply(&Reply::Ok(Page { data: relay.list().await, next: None })) }
        });
        tokio::try_join!(one, all).map(drop)
    }

    async fn pass_on(&self, message: &Message) -> request::Reply {
        let question: SealingQuestion = match canonical::from_slice(&message.payload) {
            Ok(question) => question,
            Err(error) => {
                let (code, message) = (errors::QUERY_INVALID.code.to_owned(), error.to_string());
                return reply::<()>(&Reply::Error { code, message });
            }
        };
        match self.ask(question).await {
            Ok(answer) => reply(&Reply::Ok(answer)),
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "question about sealing keys not met"
                );
                reply::<()>(&Reply::Error { code: error.code().to_owned(), message: error.to_string() })
            }
        }
    }

    async fn ask(&self, question: SealingQuestion) -> Result<SealingReply, Error> {
        let SealingQuestion { about, worker } = question;
        let mut workers = self.workers().await.into_iter();
        let asked = match worker {
            Some(module) => {
                workers.find(|one| one.description.module_id == module).ok_or(Error::UnknownWorker(module))?
            }
            None => workers.next().ok_or(Error::NoWorker)?,
        };
        let credentials = self.credentials_for(&about).await?;
        let answer = asked.ask_with(about, credentials).await?;
        Ok(SealingReply { answer, worker: asked.description.module_id })
    }

    async fn list(&self) -> Vec<SealingWorker> {
        let mut listed = Vec::new();
        for one in self.workers().await {
            if let Ok(SealingAnswer::Status { status }) = one.ask(SealingRequest::Status).await {
                let endpoint = one.channel.endpoint().to_string();
                listed.push(SealingWorker { endpoint, status, worker: one.description.module_id });
            }
        }
        listed
    }
}

/// Where a question of this name is heard: custodians are the operators', no tenant's.
fn endpoint(name: &str) -> Endpoint {
    // All hosts share the queue: one answers, for its own workers.
    let (subject, queue) = (subject::query(&Tenant::system(), name), "enclave-host".to_owned());
    Endpoint { subject, queue, max_concurrent: CONCURRENT_MAX }
}

fn reply<T: Serialize>(reply: &Reply<T>) -> request::Reply {
    request::Reply { payload: canonical::to_string(reply).into(), ..request::Reply::default() }
}
