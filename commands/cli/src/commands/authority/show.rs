//! `nsl authority show`

use crate::error::Error;
use crate::outcome::{OperatorsShown, Outcome};
use crate::session::Invocation;

/// What the operators decided, proven from the context's manifest on.
pub(crate) async fn run(invocation: &Invocation) -> Result<Outcome, Error> {
    let session = invocation.connect().await?;
    let manifest = session.genesis()?.statement;
    let operators = session.client.operators(&manifest).await?;
    Ok(Outcome::AuthorityShown(OperatorsShown::of(manifest.log_origin, &operators)))
}
