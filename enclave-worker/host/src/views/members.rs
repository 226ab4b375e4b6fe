//! Calls to single members.

use futures::future::join_all;
use nsl_enclave_protocol::channel::Health;
use nsl_enclave_protocol::pool_view::{PoolAnswer, PoolRequest, PoolStatus};
use nsl_enclave_protocol::{Endpoint, Request, Response};
use nsl_schemas::authority::Signed;
use nsl_schemas::pool_view::{EndorsementStatement, PoolLink};
use tokio::time::Instant;

use super::{Error, Views};

/// A worker that answered.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) endpoint: Endpoint,
    pub(super) status: PoolStatus,
    /// Whether it is to stay.
    pub(super) serves: bool,
}

impl Views {
    /// Every worker that is admitted and answers.
    pub(super) async fn look(&self) -> Vec<Seen> {
        let ready = self.pool.health().into_iter().filter(|one| matches!(one.connection, Health::Ready));
        let asked = ready.map(|one| async move {
            let status = self.ask_pool(&one.endpoint, PoolRequest::Status).await.ok()?;
            let PoolAnswer::Status { status } = status else { return None };
            // A worker that came to the endpoint since is admitted first.
            self.gatekeeper.admitted(&one.endpoint).filter(|admitted| admitted.key == status.key)?;
            Some(Seen { endpoint: one.endpoint, status, serves: !one.is_draining })
        });
        join_all(asked).await.into_iter().flatten().collect()
    }

    pub(super) async fn ask_pool(
        &self,
        endpoint: &Endpoint,
        about: PoolRequest,
    ) -> Result<PoolAnswer, Error> {
        match self.ask(endpoint, &Request::Pool { about: Box::new(about) }).await? {
            Response::Pool { answer } => Ok(*answer),
            _ => Err(Error::Unexpected),
        }
    }

    /// All views that followed the operators', as this worker knows them.
    pub(super) async fn links(&self, endpoint: &Endpoint) -> Result<Vec<PoolLink>, Error> {
        let mut links = Vec::new();
        loop {
            let page = self.ask_pool(endpoint, PoolRequest::Links { from: links.len() }).await?;
            let PoolAnswer::Links { links: page } = page else { return Err(Error::Unexpected) };
            if page.is_empty() {
                return Ok(links);
            }
            links.extend(page);
        }
    }

    pub(super) async fn ask_endorsement(
        &self,
        endpoint: &Endpoint,
        request: &Request,
    ) -> Result<Signed<EndorsementStatement>, Error> {
        match self.ask(endpoint, request).await? {
            Response::Endorsed { endorsement } => Ok(*endorsement),
            _ => Err(Error::Unexpected),
        }
    }

    async fn ask(&self, endpoint: &Endpoint, request: &Request) -> Result<Response, Error> {
        let deadline = Instant::now() + self.timeout;
        let answer = self.pool.probe(endpoint, request.to_bytes(), deadline).await.ok_or(Error::Gone)??;
        match Response::from_bytes(&answer).map_err(Error::Malformed)? {
            Response::Error { code, message } => Err(Error::Refused { code, message }),
            response => Ok(response),
        }
    }
}
