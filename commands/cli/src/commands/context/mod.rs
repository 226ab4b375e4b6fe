//! `nsl context …`

mod add;
mod list;
mod remove;
mod select;
mod show;

use clap::Subcommand;

use crate::error::Error;
use crate::outcome::Outcome;
use crate::session::Invocation;

/// Which service to talk to, and as whom.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Add a context; the first one is selected.
    Add(add::Add),
    /// List the contexts; * marks the selected one.
    List,
    /// Select a context; - selects the one before.
    Select(select::Select),
    /// Show the context in use.
    Show,
    /// Forget a context; the files that it names stay.
    Remove(remove::Remove),
}

impl Command {
    pub(crate) fn run(self, invocation: &Invocation) -> Result<Outcome, Error> {
        match self {
            Self::Add(verb) => verb.run(),
            Self::List => list::run(),
            Self::Select(verb) => verb.run(),
            Self::Show => show::run(invocation),
            Self::Remove(verb) => verb.run(),
        }
    }
}
