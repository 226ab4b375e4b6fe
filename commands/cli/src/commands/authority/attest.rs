//! `nsl authority attest`

use crate::error::Error;
use crate::outcome::Outcome;
use crate::session::Invocation;

/// Challenges a worker and checks what it proves of itself.
pub(crate) async fn run(invocation: &Invocation) -> Result<Outcome, Error> {
    let session = invocation.connect().await?;
    let manifest = session.genesis()?.statement;
    let operators = session.client.operators(&manifest).await?;
    let worker = session.client.attested_worker(&manifest, &operators).await?;
    Ok(Outcome::WorkerAttested {
        key: worker.key,
        build: worker.build,
        module_id: worker.module_id,
        attested_at_ms: worker.attested_at_ms,
    })
}
