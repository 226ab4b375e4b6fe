//! `nsl request …`

mod approve;
mod cancel;
mod list;
mod show;

use clap::Subcommand;
use nsl_schemas::query::{ById, SigningRequest, name};
use uuid::Uuid;

use crate::error::Error;
use crate::outcome::Outcome;
use crate::session::{Invocation, Session};

/// What was asked to be signed.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List signing requests, newest first.
    List(list::List),
    /// Show a signing request.
    Show(show::Show),
    /// Approve a transfer that waits for it.
    Approve(approve::Approve),
    /// End a request that waits for approvals or a time lock.
    Cancel(cancel::Cancel),
}

impl Command {
    pub(crate) async fn run(self, invocation: &Invocation) -> Result<Outcome, Error> {
        match self {
            Self::List(verb) => verb.run(invocation).await,
            Self::Show(verb) => verb.run(invocation).await,
            Self::Approve(verb) => verb.run(invocation).await,
            Self::Cancel(verb) => verb.run(invocation).await,
        }
    }
}

/// One request as the read model shows it.
async fn find(session: &Session<'_>, request: Uuid) -> Result<SigningRequest, Error> {
    let question = ById { id: request.to_string(), at_position: None };
    Ok(session.client.query(session.tenant(), name::SIGNING_REQUEST, &question).await?)
}
