//! `nsl request …`

mod list;
mod show;

use clap::Subcommand;

use crate::error::Error;
use crate::outcome::Outcome;
use crate::session::Invocation;

/// What was asked to be signed.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List signing requests, newest first.
    List(list::List),
    /// Show a signing request.
    Show(show::Show),
}

impl Command {
    pub(crate) async fn run(self, invocation: &Invocation) -> Result<Outcome, Error> {
        match self {
            Self::List(verb) => verb.run(invocation).await,
            Self::Show(verb) => verb.run(invocation).await,
        }
    }
}
