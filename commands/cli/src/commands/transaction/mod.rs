//! `nsl transaction …`

mod list;

use clap::Subcommand;

use crate::error::Error;
use crate::outcome::Outcome;
use crate::session::Invocation;

/// What was signed and sent.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List transactions, newest first.
    List(list::List),
}

impl Command {
    pub(crate) async fn run(self, invocation: &Invocation) -> Result<Outcome, Error> {
        match self {
            Self::List(verb) => verb.run(invocation).await,
        }
    }
}
