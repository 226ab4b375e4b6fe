//! Judging each new connection before any other call goes over it: whoever answers at an endpoint may be another
//! process than before.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;

use super::connection::Connection;
use super::{Error, call};
use crate::endpoint::Endpoint;

/// Why a connection was not admitted.
pub type AdmissionError = Box<dyn std::error::Error + Send + Sync>;

/// Decides whether a new connection may take calls. One that is refused is closed, and another is tried after the
/// channel's usual pauses.
pub trait Admission: fmt::Debug + Send + Sync {
    /// Judges `newcomer`; bounds its own time.
    fn admit(
        &self,
        newcomer: Newcomer,
    ) -> Pin<Box<dyn Future<Output = Result<(), AdmissionError>> + Send + '_>>;
}

/// A connection that takes no calls yet but those of its judge.
#[derive(Debug)]
pub struct Newcomer {
    pub(super) endpoint: Endpoint,
    pub(super) connection: Arc<Connection>,
}

impl Newcomer {
    /// Where it leads.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Sends `request` over exactly this connection and waits for its response until `deadline`.
    pub async fn call(&self, request: impl Into<Bytes>, deadline: Instant) -> Result<Vec<u8>, Error> {
        call::call(&self.endpoint, &self.connection, request.into(), deadline).await
    }
}
