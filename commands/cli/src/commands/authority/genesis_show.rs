//! `nsl authority genesis-show`

use crate::error::Error;
use crate::outcome::Outcome;
use crate::session::{self, Invocation};

pub(crate) fn run(invocation: &Invocation) -> Result<Outcome, Error> {
    let manifest = session::genesis_of(&invocation.context()?)?;
    Ok(Outcome::GenesisShown { sha256: manifest.statement.sha256(), manifest })
}
