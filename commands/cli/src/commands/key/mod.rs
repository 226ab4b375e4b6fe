//! `nsl key …`

mod generate;

use clap::Subcommand;

use crate::error::Error;
use crate::outcome::Outcome;

/// Command keys.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a key pair; the seed goes to a file that only you can read.
    Generate(generate::Generate),
}

impl Command {
    pub(crate) fn run(self) -> Result<Outcome, Error> {
        match self {
            Self::Generate(verb) => verb.run(),
        }
    }
}
