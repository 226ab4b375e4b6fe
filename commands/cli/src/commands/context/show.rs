//! `nsl context show`

use crate::contexts::Contexts;
use crate::error::Error;
use crate::outcome::Outcome;
use crate::session::Invocation;

pub(crate) fn run(invocation: &Invocation) -> Result<Outcome, Error> {
    let contexts = Contexts::load(&Invocation::contexts_path()?)?;
    let (name, context) = contexts.resolve(invocation.context_name())?;
    Ok(Outcome::ContextShown { name: name.to_owned(), context: context.clone() })
}
