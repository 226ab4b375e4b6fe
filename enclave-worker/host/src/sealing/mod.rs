//! Carries requests about sealing keys to workers, admitted or not. The host understands them just so far as to know the
//! way: what they prove, workers and custodians judge.

mod by_kms;
mod questions;
mod spread;

use std::time::Duration;

use nsl_client::custodian;
use nsl_enclave_protocol::{
    AwsCredentials, Channel, ChannelOptions, Description, Endpoint, Pool, Request, Response, channel,
};
use nsl_schemas::canonical;
use nsl_schemas::sealing::{SealingAnswer, SealingRequest};
use tokio::time::Instant;

use crate::kms::CredentialsError;
pub(crate) use by_kms::ByKms;

/// Why a worker did not meet a request.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("worker did not answer")]
    Call(#[from] channel::Error),
    #[error("worker's answer cannot be read")]
    Malformed(#[source] canonical::Error),
    #[error("worker answered with something else")]
    Unexpected,
    #[error("{message}")]
    Failed { code: String, message: String },
    #[error("no worker of this host is the module {0:?}")]
    UnknownWorker(String),
    #[error("no worker of this host answers")]
    NoWorker,
    #[error("no credentials for KMS")]
    Credentials(#[from] CredentialsError),
    #[error("records of sealing keys")]
    Records(#[from] custodian::Error),
}

/// The way to the workers.
#[derive(Debug)]
pub(crate) struct Relay {
    /// Tells who the workers are, those started here too.
    pool: Pool,
    timeout: Duration,
    /// Where the manifest seals by KMS.
    by_kms: Option<ByKms>,
}

/// A worker on a connection of its own: the pool's are for admitted workers.
#[derive(Debug)]
struct Worker {
    channel: Channel,
    description: Description,
    timeout: Duration,
}

impl Relay {
    /// To the workers of `pool`, admitted or not; each call takes at most `timeout`.
    pub(crate) fn new(pool: Pool, timeout: Duration, by_kms: Option<ByKms>) -> Self {
        Self { pool, timeout, by_kms }
    }

    async fn connect(&self, endpoint: &Endpoint) -> Result<Worker, Error> {
        let options = ChannelOptions { connect_timeout: self.timeout, ..ChannelOptions::default() };
        let channel = Channel::connect(endpoint.clone(), options).await?;
        match call(&channel, &Request::Describe, self.timeout).await? {
            Response::Description { description } => {
                Ok(Worker { channel, description, timeout: self.timeout })
            }
            _ => Err(Error::Unexpected),
        }
    }

    /// Every worker that answers.
    async fn workers(&self) -> Vec<Worker> {
        let mut workers = Vec::new();
        for endpoint in self.pool.health().into_iter().map(|member| member.endpoint) {
            match self.connect(&endpoint).await {
                Ok(worker) => workers.push(worker),
                Err(error) => {
                    tracing::debug!(%endpoint, error = &error as &dyn std::error::Error, "worker not reached");
                }
            }
        }
        workers
    }
}

impl Worker {
    async fn ask(&self, about: SealingRequest) -> Result<SealingAnswer, Error> {
        self.ask_with(about, None).await
    }

    /// Asks something that takes a request to KMS.
    async fn ask_with(
        &self,
        about: SealingRequest,
        credentials: Option<AwsCredentials>,
    ) -> Result<SealingAnswer, Error> {
        let request = Request::Sealing { about: Box::new(about), credentials };
        match call(&self.channel, &request, self.timeout).await? {
            Response::Sealing { answer } => Ok(*answer),
            _ => Err(Error::Unexpected),
        }
    }
}

async fn call(channel: &Channel, request: &Request, timeout: Duration) -> Result<Response, Error> {
    let answer = channel.call(request.to_bytes(), Instant::now() + timeout).await?;
    match Response::from_bytes(&answer).map_err(Error::Malformed)? {
        Response::Error { code, message } => Err(Error::Failed { code, message }),
        response => Ok(response),
    }
}
