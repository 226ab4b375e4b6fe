//! Has KMS give the log's sealing keys to a worker as soon as no worker has them; the others get them from that one.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nsl_client::Client;
use nsl_enclave_protocol::AwsCredentials;
use nsl_schemas::sealing::{SealingRecord, SealingRequest};
use tokio::time::Instant;

use super::{Error, Relay, Worker};
use crate::kms::{self, KmsConfig};

/// Newest keys that are brought back: as many as a worker holds.
const EPOCHS_MAX: usize = 8;
/// Rest after KMS gave no key: what is wrong then takes people, and each attempt costs a request.
const REST: Duration = Duration::from_secs(10);
/// Between two looks at the log's records while every known key is there: a new one waits no longer.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// What it takes.
#[derive(Debug)]
pub(crate) struct ByKms {
    client: Client,
    config: KmsConfig,
    not_before: Mutex<Option<Instant>>,
}

impl ByKms {
    /// Records are asked for with `client`.
    pub(crate) fn new(client: Client, config: KmsConfig) -> Self {
        Self { client, config, not_before: Mutex::default() }
    }

    fn is_resting(&self) -> bool {
        let not_before = self.not_before.lock().unwrap_or_else(PoisonError::into_inner);
        not_before.is_some_and(|at| Instant::now() < at)
    }

    fn rest(&self, pause: Duration) {
        *self.not_before.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + pause);
    }
}

impl Relay {
    /// What goes along with a request, where meeting it takes one to KMS.
    pub(super) async fn credentials_for(
        &self,
        about: &SealingRequest,
    ) -> Result<Option<AwsCredentials>, Error> {
        match (&self.by_kms, about) {
            (Some(by_kms), SealingRequest::Found { .. } | SealingRequest::Open { .. }) => {
                Ok(Some(kms::read_credentials(&by_kms.config).await?))
            }
            _ => Ok(None),
        }
    }

    /// Brings back the keys that no worker has.
    pub(super) async fn open_by_kms(&self, workers: &[Worker]) {
        let Some(by_kms) = &self.by_kms else { return };
        let has_keys = workers.iter().any(|worker| !worker.description.sealing_keys.is_empty());
        if workers.is_empty() || by_kms.is_resting() {
            return;
        }
        match self.open_missing(by_kms, workers).await {
            Ok(()) if has_keys => by_kms.rest(LOOK_AGAIN),
            Ok(()) => {}
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "KMS brings no sealing key back");
                by_kms.rest(REST);
            }
        }
    }

    async fn open_missing(&self, by_kms: &ByKms, workers: &[Worker]) -> Result<(), Error> {
        let has = |worker: &Worker| worker.description.sealing_keys.clone();
        let there: BTreeSet<u32> = workers.iter().flat_map(has).map(|key| key.epoch).collect();
        let records = by_kms.client.sealing_records().await?;
        let epoch = |record: &SealingRecord| record.statement.order.statement.epoch;
        let newest = records.into_iter().rev().take(EPOCHS_MAX);
        let missing = newest.filter(|record| !there.contains(&epoch(record)));
        for record in missing {
            let (epoch, about) = (epoch(&record), SealingRequest::Open { record });
            let credentials = self.credentials_for(&about).await?;
            // Any will do; the one with the most keys, so that the others lack all the same ones.
            let worker = workers.iter().max_by_key(|worker| worker.description.sealing_keys.len());
            let worker = worker.ok_or(Error::NoWorker)?;
            worker.ask_with(about, credentials).await?;
            tracing::info!(epoch, worker = worker.description.module_id, "sealing key brought back by KMS");
        }
        Ok(())
    }
}
