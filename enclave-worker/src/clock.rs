//! The time by which grants are judged: the NSM's, which the host cannot set.
//!
//! The NSM tells the time only in attestation documents, so the clock asks for one now and then and counts on from
//! it. It verifies each by what the manifest demands of this very worker, and never goes back.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nsl_verify::attestation::{self, VerifyTime};

use crate::genesis::Genesis;
use crate::nsm::{self, AttestationRequest, NsmHandle};

/// For how long time is counted from one document: what the enclave's own counter may drift in it is far below the
/// clock skew that commands are allowed.
const ANCHOR_LIFE: Duration = Duration::from_secs(30);

/// Why there is no time.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The NSM signed no document.
    #[error("nsm did not tell the time")]
    Nsm(#[source] nsm::Error),
    /// The worker's own document does not pass: it is not a build of the manifest, or PCR16 commits to another.
    #[error("this worker's attestation document does not meet the genesis manifest")]
    Document(#[source] attestation::Error),
}

/// Counts on from a document's time.
#[derive(Debug, Clone, Copy)]
struct Anchor {
    nsm_ms: u64,
    at: Instant,
}

impl Anchor {
    fn is_fresh(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.at) < ANCHOR_LIFE
    }

    fn time_ms(&self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.at).as_millis();
        self.nsm_ms.saturating_add(u64::try_from(elapsed).unwrap_or(u64::MAX))
    }

    /// The anchor of a new document, not before the time that this one has reached.
    fn renewed(self, nsm_ms: u64, now: Instant) -> Self {
        Self { nsm_ms: nsm_ms.max(self.time_ms(now)), at: now }
    }
}

/// The worker's clock.
#[derive(Debug)]
pub(crate) struct NsmClock {
    nsm: NsmHandle,
    genesis: Arc<Genesis>,
    anchor: Mutex<Anchor>,
    /// Held while a new document is fetched, so that the jobs of that moment ask for one together.
    renewal: tokio::sync::Mutex<()>,
}

impl NsmClock {
    /// A clock with its first document.
    pub(crate) async fn start(nsm: NsmHandle, genesis: Arc<Genesis>) -> Result<Self, Error> {
        let nsm_ms = document_time_ms(&nsm, &genesis).await?;
        let anchor = Mutex::new(Anchor { nsm_ms, at: Instant::now() });
        Ok(Self { nsm, genesis, anchor, renewal: tokio::sync::Mutex::default() })
    }

    /// The present in Unix ms; waits only when a new document is due.
    pub(crate) async fn now_ms(&self) -> Result<u64, Error> {
        if let Some(now_ms) = self.counted_ms() {
            return Ok(now_ms);
        }
        let _renewal = self.renewal.lock().await;
        if let Some(now_ms) = self.counted_ms() {
            return Ok(now_ms);
        }
        let nsm_ms = document_time_ms(&self.nsm, &self.genesis).await?;
        let now = Instant::now();
        let mut anchor = self.anchor();
        *anchor = anchor.renewed(nsm_ms, now);
        Ok(anchor.time_ms(now))
    }

    /// The time counted on from the last document, while that is fresh.
    fn counted_ms(&self) -> Option<u64> {
        let (anchor, now) = (*self.anchor(), Instant::now());
        anchor.is_fresh(now).then(|| anchor.time_ms(now))
    }

    /// An anchor is copied whole, so a poisoned lock would still guard a whole one.
    fn anchor(&self) -> std::sync::MutexGuard<'_, Anchor> {
        self.anchor.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn document_time_ms(nsm: &NsmHandle, genesis: &Genesis) -> Result<u64, Error> {
    let document = nsm.attest(AttestationRequest::default()).await.map_err(Error::Nsm)?;
    attestation::verify(&document, &genesis.expectation(), genesis.root(), VerifyTime::Document)
        .map(|document| document.timestamp_ms)
        .map_err(Error::Document)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_on_between_documents_and_never_back() {
        let start = Instant::now();
        let anchor = Anchor { nsm_ms: 1_000, at: start };
        let later = start + Duration::from_secs(29);
        assert_eq!(anchor.time_ms(later), 30_000);
        assert!(anchor.is_fresh(later));
        assert!(!anchor.is_fresh(start + ANCHOR_LIFE));
        assert_eq!(anchor.renewed(500, later).time_ms(later), 30_000);
        assert_eq!(anchor.renewed(40_000, later).time_ms(later), 40_000);
        assert_eq!(Anchor { at: later, ..anchor }.time_ms(start), 1_000);
    }
}
