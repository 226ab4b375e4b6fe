//! `nsl events …`

mod line;
mod replay;
mod tail;

use clap::Subcommand;

use crate::error::Error;
use crate::outcome::Outcome;
use crate::session::Invocation;

/// The log, as it is published.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show events, one a line: the last ten, or all from a position on.
    Tail(tail::Tail),
    /// Write every event from the first to the head as JSON lines, and check that no position is missing.
    Replay,
}

impl Command {
    pub(crate) async fn run(self, invocation: &Invocation) -> Result<Outcome, Error> {
        match self {
            Self::Tail(verb) => verb.run(invocation).await,
            Self::Replay => replay::run(invocation).await,
        }
    }
}
