//! `nsl secret …`

mod get;
mod list;
mod put;
mod readers;
mod rm;
mod show;
mod terms;

use std::path::PathBuf;

use clap::Subcommand;
use nsl_client::QueryError;
use nsl_client::secret::SecretName;
use nsl_schemas::bytes::Sha256;
use nsl_schemas::errors;
use nsl_schemas::nkey::SigningKey;
use nsl_schemas::query::{ById, Secret, name};
use nsl_schemas::token::AggregateId;

use crate::error::Error;
use crate::files;
use crate::outcome::Outcome;
use crate::session::{Invocation, Session};

/// Secrets that only enclaves and their readers see.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Store a secret, or its next version, encrypted to the enclave.
    Put(put::Put),
    /// Read a secret, as one of its readers.
    Get(get::Get),
    /// List the secrets, without what they are.
    List(list::List),
    /// Show who may read a secret, without what it is.
    Show(show::Show),
    /// Change who may read a secret, signed by its owners.
    Readers(readers::Readers),
    /// Destroy a secret, signed by its owners.
    Rm(rm::Rm),
}

impl Command {
    pub(crate) async fn run(self, invocation: &Invocation) -> Result<Outcome, Error> {
        match self {
            Self::Put(verb) => verb.run(invocation).await,
            Self::Get(verb) => verb.run(invocation).await,
            Self::List(verb) => verb.run(invocation).await,
            Self::Show(verb) => verb.run(invocation).await,
            Self::Readers(verb) => verb.run(invocation).await,
            Self::Rm(verb) => verb.run(invocation).await,
        }
    }
}

/// A secret as the read model shows it.
async fn shown(session: &Session<'_>, id: &AggregateId) -> Result<Secret, QueryError> {
    let question = ById { id: id.to_string(), at_position: None };
    session.client.query(session.tenant(), name::SECRET, &question).await
}

/// The same, where there may be none.
async fn found(session: &Session<'_>, id: &AggregateId) -> Result<Option<Secret>, QueryError> {
    match shown(session, id).await {
        Ok(secret) => Ok(Some(secret)),
        Err(QueryError::Answered { code, .. }) if code == errors::NOT_FOUND.code => Ok(None),
        Err(error) => Err(error),
    }
}

/// The keys of these seed files.
fn seeds(paths: &[PathBuf]) -> Result<Vec<SigningKey>, Error> {
    paths.iter().map(|path| files::read_seed(path)).collect()
}

/// The keys that sign: those given, or the context's issuer.
fn signers<'a>(session: &'a Session<'_>, given: &'a [SigningKey]) -> Result<Vec<&'a SigningKey>, Error> {
    if given.is_empty() { Ok(vec![session.issuer()?]) } else { Ok(given.iter().collect()) }
}

fn named<'a>(session: &'a Session<'_>, secret: &'a AggregateId, genesis_sha256: Sha256) -> SecretName<'a> {
    SecretName { genesis_sha256, tenant: session.tenant(), secret }
}
