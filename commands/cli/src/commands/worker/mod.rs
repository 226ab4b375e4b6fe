//! `nsl worker …`

mod list;

use clap::Subcommand;

use crate::error::Error;
use crate::outcome::Outcome;
use crate::session::Invocation;

/// Enclave workers.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the workers of all hosts, as their hosts see them. Only operators are answered.
    List(list::List),
}

impl Command {
    pub(crate) async fn run(self, invocation: &Invocation) -> Result<Outcome, Error> {
        match self {
            Self::List(verb) => verb.run(invocation).await,
        }
    }
}
