//! `nsl price …`

mod get;
mod list;
mod watch;

use clap::Subcommand;

use crate::error::Error;
use crate::outcome::Outcome;
use crate::session::Invocation;

/// Accepted prices.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show the latest price of a pair.
    Get(get::Get),
    /// List the latest prices.
    List(list::List),
    /// Follow the prices of a pair, one a line.
    Watch(watch::Watch),
}

impl Command {
    pub(crate) async fn run(self, invocation: &Invocation) -> Result<Outcome, Error> {
        match self {
            Self::Get(verb) => verb.run(invocation).await,
            Self::List(verb) => verb.run(invocation).await,
            Self::Watch(verb) => verb.run(invocation).await,
        }
    }
}
