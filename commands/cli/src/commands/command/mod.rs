//! `nsl command …`

mod result;
mod send;

use clap::Subcommand;

use crate::error::Error;
use crate::outcome::Outcome;
use crate::session::Invocation;

/// Commands as raw JSON.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Sign and send a payload as it is.
    Send(send::Send),
    /// Show the recorded result of a command.
    Result(result::ShowResult),
}

impl Command {
    pub(crate) async fn run(self, invocation: &Invocation) -> Result<Outcome, Error> {
        match self {
            Self::Send(verb) => verb.run(invocation).await,
            Self::Result(verb) => verb.run(invocation).await,
        }
    }
}
