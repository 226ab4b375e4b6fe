//! `nsl context list`

use crate::contexts::Contexts;
use crate::error::Error;
use crate::outcome::{NamedContext, Outcome};
use crate::session::Invocation;

pub(crate) fn run() -> Result<Outcome, Error> {
    let Contexts { current, previous: _, contexts } = Contexts::load(&Invocation::contexts_path()?)?;
    let named = contexts.into_iter().map(|(name, context)| {
        let is_selected = current.as_ref() == Some(&name);
        NamedContext { name, is_selected, context }
    });
    Ok(Outcome::ContextsListed { contexts: named.collect() })
}
