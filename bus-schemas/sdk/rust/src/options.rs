//! How a [`crate::Client`] connects, signs and waits. Every wait has a limit.

use std::time::Duration;

use nsl_schemas::nkey::SigningKey;
use nsl_schemas::token::Tenant;

/// User and password of the NATS connection; never the command key (D7).
#[derive(Clone)]
pub struct Credentials {
    /// The user.
    pub user: String,
    /// The password.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Credentials({}, password hidden)", self.user)
    }
}

/// Everything a client needs to know at its start.
#[derive(Debug)]
pub struct Options {
    /// The NATS server, as `nats://127.0.0.1:4222`.
    pub url: String,
    /// Absent where the server asks for none.
    pub credentials: Option<Credentials>,
    /// Whose aggregates the short forms speak of.
    pub tenant: Tenant,
    /// Signs commands; a client without it only reads.
    pub issuer: Option<SigningKey>,
    /// How long to wait for the connection.
    pub connect_timeout: Duration,
    /// How long one attempt of a command waits for its result.
    pub answer_timeout: Duration,
    /// How often the same bytes are sent again when no result came.
    pub resends_max: u32,
    /// How long to wait for the answer to a question.
    pub query_timeout: Duration,
    /// How long a command may be accepted as new after it was signed; at most
    /// [`nsl_schemas::envelope::LIFETIME_MS_MAX`].
    pub command_lifetime: Duration,
}

impl Options {
    /// Options with the usual limits: a result takes milliseconds, so five seconds mean that something is down.
    pub fn new(url: impl Into<String>, tenant: Tenant) -> Self {
        Self {
            url: url.into(),
            credentials: None,
            tenant,
            issuer: None,
            connect_timeout: Duration::from_secs(5),
            answer_timeout: Duration::from_secs(5),
            resends_max: 2,
            query_timeout: Duration::from_secs(10),
            command_lifetime: Duration::from_hours(1),
        }
    }

    /// Signs commands with `issuer`.
    #[must_use]
    pub fn issued_by(mut self, issuer: SigningKey) -> Self {
        self.issuer = Some(issuer);
        self
    }

    /// Connects as `user`.
    #[must_use]
    pub fn authenticated_as(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }
}
