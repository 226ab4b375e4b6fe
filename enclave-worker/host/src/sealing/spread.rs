//! Gives every worker the sealing keys that another has, so that scaling out or restarting one worker needs no people.

use std::collections::BTreeSet;
use std::time::Duration;

use nsl_schemas::sealing::{SealingAnswer, SealingRequest};
use tokio_util::sync::CancellationToken;

use super::{Error, Relay, Worker};

/// Between two looks: a worker that started waits no longer than this for its keys, and looking costs a few small calls.
const INTERVAL: Duration = Duration::from_secs(2);

impl Relay {
    /// Looks after the workers' keys until `stop`.
    pub(crate) async fn spread(&self, stop: CancellationToken) {
        let mut looks = tokio::time::interval(INTERVAL);
        while stop.run_until_cancelled(looks.tick()).await.is_some() {
            let tended = async {
                let workers = self.workers().await;
                self.open_by_kms(&workers).await;
                self.level(&workers).await;
            };
            if stop.run_until_cancelled(tended).await.is_none() {
                return;
            }
        }
    }

    /// Whoever lacks a key gets it from whoever has it.
    async fn level(&self, workers: &[Worker]) {
        for taker in workers {
            let Some(giver) = workers.iter().find(|giver| has_more(giver, taker)) else { continue };
            let (from, to) = (&giver.description.module_id, &taker.description.module_id);
            match forward(giver, taker).await {
                Ok(()) => tracing::info!(from, to, "sealing keys carried from worker to worker"),
                Err(error) => {
                    tracing::warn!(
                        from,
                        to,
                        error = &error as &dyn std::error::Error,
                        "sealing keys not taken"
                    );
                }
            }
        }
    }
}

/// Whether `giver` has a key of an epoch of which `taker` has none.
fn has_more(giver: &Worker, taker: &Worker) -> bool {
    let epochs = |worker: &Worker| -> BTreeSet<u32> {
        worker.description.sealing_keys.iter().map(|key| key.epoch).collect()
    };
    !epochs(giver).is_subset(&epochs(taker))
}

async fn forward(giver: &Worker, taker: &Worker) -> Result<(), Error> {
    let SealingAnswer::Challenge { nonce } = giver.ask(SealingRequest::Challenge).await? else {
        return Err(Error::Unexpected);
    };
    let SealingAnswer::Attested { document } = taker.ask(SealingRequest::Attest { nonce }).await? else {
        return Err(Error::Unexpected);
    };
    let forwarded = giver.ask(SealingRequest::Forward { document }).await?;
    let SealingAnswer::Forwarded { document, message } = forwarded else { return Err(Error::Unexpected) };
    taker.ask(SealingRequest::Accept { document, message }).await.map(drop)
}
