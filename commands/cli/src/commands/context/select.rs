//! `nsl context select`

use clap::Args;

use crate::contexts::Contexts;
use crate::error::Error;
use crate::outcome::Outcome;
use crate::session::Invocation;

/// Select a context.
#[derive(Debug, Args)]
pub(crate) struct Select {
    /// Its name, or - for the one selected before.
    #[arg(allow_hyphen_values = true)]
    name: String,
}

impl Select {
    pub(crate) fn run(self) -> Result<Outcome, Error> {
        let path = Invocation::contexts_path()?;
        let mut contexts = Contexts::load(&path)?;
        let name = contexts.select(&self.name)?;
        contexts.save(&path)?;
        Ok(Outcome::ContextSelected { name })
    }
}
