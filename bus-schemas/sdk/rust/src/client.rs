//! One connection to the bus, shared by every clone of the client.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream;
use nsl_schemas::nkey::SigningKey;
use nsl_schemas::token::Tenant;

use crate::{Options, Source};

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The server knows nobody with these credentials.
    #[error("{url} refuses these credentials")]
    Denied {
        /// The server.
        url: String,
        /// What it said.
        #[source]
        source: Source,
    },
    /// The server cannot be reached.
    #[error("cannot connect to {url}")]
    Unreachable {
        /// The server.
        url: String,
        /// Why.
        #[source]
        source: Source,
    },
}

/// A client of the service: signs and sends commands, asks questions, follows events and prices.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    nats: async_nats::Client,
    jetstream: jetstream::Context,
    options: Options,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Client({} as {})", self.inner.options.url, self.inner.options.tenant)
    }
}

impl Client {
    /// Connects once; a connection that is lost later mends itself.
    pub async fn connect(options: Options) -> Result<Self, ConnectError> {
        let mut connection = async_nats::ConnectOptions::new()
            .name(concat!("nsl-client/", env!("CARGO_PKG_VERSION")))
            .connection_timeout(options.connect_timeout);
        if let Some(credentials) = &options.credentials {
            connection = connection
                .user_and_password(credentials.user.clone(), credentials.password.clone())
                // An inbox that no other user of the account may listen on.
                .custom_inbox_prefix(format!("_INBOX.{}", credentials.user));
        }
        let nats =
            connection.connect(&options.url).await.map_err(|error| connect_error(&options.url, error))?;
        Ok(Self::over(nats, options))
    }

    /// Uses a connection that the process has already; of `options`, address and credentials only name it.
    pub fn over(nats: async_nats::Client, options: Options) -> Self {
        let jetstream = jetstream::ContextBuilder::new()
            .timeout(options.query_timeout)
            .ack_timeout(options.answer_timeout)
            .build(nats.clone());
        Self { inner: Arc::new(Inner { nats, jetstream, options }) }
    }

    /// Whose aggregates the short forms speak of.
    pub fn tenant(&self) -> &Tenant {
        &self.inner.options.tenant
    }

    /// The key that signs this client's commands.
    pub fn issuer(&self) -> Option<&SigningKey> {
        self.inner.options.issuer.as_ref()
    }

    pub(crate) fn nats(&self) -> &async_nats::Client {
        &self.inner.nats
    }

    pub(crate) fn jetstream(&self) -> &jetstream::Context {
        &self.inner.jetstream
    }

    pub(crate) fn command_lifetime(&self) -> Duration {
        self.inner.options.command_lifetime
    }

    pub(crate) fn answer_timeout(&self) -> Duration {
        self.inner.options.answer_timeout
    }

    pub(crate) fn resends_max(&self) -> u32 {
        self.inner.options.resends_max
    }

    pub(crate) fn query_timeout(&self) -> Duration {
        self.inner.options.query_timeout
    }
}

fn connect_error(url: &str, error: async_nats::ConnectError) -> ConnectError {
    let url = url.to_owned();
    match error.kind() {
        async_nats::ConnectErrorKind::Authentication
        | async_nats::ConnectErrorKind::AuthorizationViolation => {
            ConnectError::Denied { url, source: Box::new(error) }
        }
        _ => ConnectError::Unreachable { url, source: Box::new(error) },
    }
}
