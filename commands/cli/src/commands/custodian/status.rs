//! `nsl custodian status`

use crate::error::Error;
use crate::outcome::Outcome;
use crate::session::Invocation;

pub(crate) async fn run(invocation: &Invocation) -> Result<Outcome, Error> {
    let session = invocation.connect().await?;
    let workers = session.client.sealing_workers().await?;
    Ok(Outcome::SealingStatusShown { workers })
}
