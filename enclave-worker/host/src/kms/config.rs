//! The `[kms]` section.

use std::num::{NonZeroU16, NonZeroU64};
use std::path::PathBuf;

use nsl_enclave_protocol::{Endpoint, endpoint};
use serde::Deserialize;

/// Most places where workers are heard: one for each that a host starts.
const LISTEN_MAX: usize = 32;

/// Where credentials come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CredentialsSource {
    /// The role of the instance, from its metadata service.
    InstanceRole,
    /// A file in the form that AWS' tools know from `credential_process`.
    File,
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`.
    Environment,
}

/// The section.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KmsConfig {
    /// Where workers' connections are taken.
    pub listen: Vec<String>,
    /// The one address that they are relayed to, `HOST:PORT`.
    pub address: String,
    /// At once.
    pub connections_max: NonZeroU16,
    /// For one connection from its beginning to its end.
    pub connection_timeout_ms: NonZeroU64,
    /// Where credentials come from.
    pub credentials: CredentialsSource,
    /// Read for each request, where they come from a file.
    pub credentials_file: PathBuf,
    /// Of the metadata service, `HOST:PORT`.
    pub metadata_address: String,
}

/// A `[kms]` section that contradicts itself.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not an endpoint.
    #[error("kms.listen")]
    Listen(#[from] endpoint::Error),
    /// Too many.
    #[error("kms.listen has {found} endpoints, expected at most {LISTEN_MAX}")]
    TooMany {
        /// As configured.
        found: usize,
    },
    /// Workers would be heard and not relayed.
    #[error("kms.address {address:?} is not HOST:PORT, and kms.listen is not empty")]
    Address {
        /// As configured.
        address: String,
    },
    /// No file to read.
    #[error("kms.credentials is \"file\", and kms.credentials_file is empty")]
    NoFile,
    /// The manifest seals by KMS, and nobody could reach it.
    #[error("the genesis manifest seals by AWS KMS, and kms.listen is empty")]
    NotRelayed,
}

impl KmsConfig {
    /// Whether workers are relayed at all.
    pub fn is_used(&self) -> bool {
        !self.listen.is_empty()
    }

    /// Where workers' connections are taken.
    pub fn endpoints(&self) -> Result<Vec<Endpoint>, Error> {
        let found = self.listen.len();
        if found > LISTEN_MAX {
            return Err(Error::TooMany { found });
        }
        let parsed: Result<_, endpoint::Error> = self.listen.iter().map(|text| text.parse()).collect();
        Ok(parsed?)
    }

    /// Whether every member can be used.
    pub fn check(&self) -> Result<(), Error> {
        self.endpoints()?;
        if !self.is_used() {
            return Ok(());
        }
        let port = self.address.rsplit_once(':').filter(|(host, _)| !host.is_empty());
        if port.is_none_or(|(_, port)| port.parse::<NonZeroU16>().is_err()) {
            return Err(Error::Address { address: self.address.clone() });
        }
        if self.credentials == CredentialsSource::File && self.credentials_file.as_os_str().is_empty() {
            return Err(Error::NoFile);
        }
        Ok(())
    }
}
