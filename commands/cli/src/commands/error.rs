//! `nsl error CODE`

use clap::Args;

use crate::error::Error;
use crate::outcome::Outcome;
use crate::pages;

/// Explain an error code.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The code, as `error[CODE]` shows it.
    code: String,
}

impl Explain {
    pub(crate) fn run(self) -> Result<Outcome, Error> {
        let Self { code } = self;
        match pages::find(&code) {
            Some(page) => Ok(Outcome::PageShown { code, page: page.to_owned() }),
            None => Err(Error::PageUnknown { code }),
        }
    }
}
