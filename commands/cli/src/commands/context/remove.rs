//! `nsl context remove`

use clap::Args;

use crate::contexts::Contexts;
use crate::error::Error;
use crate::outcome::Outcome;
use crate::session::Invocation;

/// Forget a context.
#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// Its name.
    name: String,
}

impl Remove {
    pub(crate) fn run(self) -> Result<Outcome, Error> {
        let path = Invocation::contexts_path()?;
        let mut contexts = Contexts::load(&path)?;
        contexts.remove(&self.name)?;
        contexts.save(&path)?;
        Ok(Outcome::ContextRemoved { name: self.name })
    }
}
