//! Carries requests about sealing keys to workers, admitted or not. The host understands them just so far as to know the
//! way: what they prove, workers and custodians judge.

mod questions;
mod spread;

use std::time::Duration;

use nsl_enclave_protocol::{Channel, ChannelOptions, Description, Endpoint, Request, Response, channel};
use nsl_schemas::canonical;
use nsl_schemas::sealing::{SealingAnswer, SealingRequest};
use tokio::time::Instant;

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
}

/// The way to the workers.
#[derive(Debug)]
pub(crate) struct Relay {
    endpoints: Vec<Endpoint>,
    timeout: Duration,
}

/// A worker on a connection of its own: the pool's are for admitted workers.
#[derive(Debug)]
struct Worker {
    channel: Channel,
    description: Description,
    timeout: Duration,
}

impl Relay {
    /// To the workers at `endpoints`; each call takes at most `timeout`.
    pub(crate) fn new(endpoints: Vec<Endpoint>, timeout: Duration) -> Self {
        Self { endpoints, timeout }
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
        for endpoint in &self.endpoints {
            match self.connect(endpoint).await {
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
        match call(&self.channel, &Request::Sealing { about: Box::new(about) }, self.timeout).await? {
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
