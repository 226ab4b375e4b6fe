//! The time by which grants are judged: the NSM's, which the host cannot set.
//!
//! The NSM tells the time only in attestation documents, so the clock asks for one now and then and counts on from
//! it. It verifies each by what the manifest demands of this very worker, and never goes back. Jobs do not wait for a new
//! document as long as the last one is not too old: the NSM's driver may take minutes.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use nsl_verify::attestation::{self, VerifyTime};
use tokio::sync::Mutex;

use crate::genesis::Genesis;
use crate::nsm::{self, AttestationRequest, NsmHandle};

/// After how long a new document is asked for: what the enclave's own counter may drift in it is far below the clock
/// skew that commands are allowed.
const RENEW_AFTER: Duration = Duration::from_secs(30);
/// For how long time is counted from one document at most: the driver's longest wait of 120 s twice over.
const ANCHOR_LIFE: Duration = Duration::from_mins(5);

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

/// What an anchor is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Freshness {
    Fresh,
    /// Good, and a new one is due.
    Due,
    TooOld,
}

impl Anchor {
    fn freshness(&self, now: Instant) -> Freshness {
        match now.saturating_duration_since(self.at) {
            age if age < RENEW_AFTER => Freshness::Fresh,
            age if age < ANCHOR_LIFE => Freshness::Due,
            _ => Freshness::TooOld,
        }
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
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    nsm: NsmHandle,
    genesis: Arc<Genesis>,
    anchor: RwLock<Anchor>,
    /// Held while a document is asked for, so that one is at a time.
    renewal: Arc<Mutex<()>>,
}

impl NsmClock {
    /// A clock with its first document.
    pub(crate) async fn start(nsm: NsmHandle, genesis: Arc<Genesis>) -> Result<Self, Error> {
        let nsm_ms = document_time_ms(&nsm, &genesis).await?;
        let anchor = RwLock::new(Anchor { nsm_ms, at: Instant::now() });
        Ok(Self { shared: Arc::new(Shared { nsm, genesis, anchor, renewal: Arc::default() }) })
    }

    /// The present in Unix ms.
    pub(crate) async fn now_ms(&self) -> Result<u64, Error> {
        match self.shared.anchor().freshness(Instant::now()) {
            Freshness::Fresh => {}
            Freshness::Due => self.renew_meanwhile(),
            Freshness::TooOld => {
                let _turn = self.shared.renewal.lock().await;
                // Another job may have waited for the same.
                if self.shared.anchor().freshness(Instant::now()) == Freshness::TooOld {
                    self.shared.renew().await?;
                }
            }
        }
        Ok(self.shared.anchor().time_ms(Instant::now()))
    }

    fn renew_meanwhile(&self) {
        let Ok(turn) = Arc::clone(&self.shared.renewal).try_lock_owned() else { return };
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            let _turn = turn;
            if let Err(error) = shared.renew().await {
                tracing::warn!(error = &error as &dyn std::error::Error, "clock goes on without the nsm");
            }
        });
    }
}

impl Shared {
    /// Plain data that no panic leaves half changed.
    fn anchor(&self) -> Anchor {
        *self.anchor.read().unwrap_or_else(PoisonError::into_inner)
    }

    async fn renew(&self) -> Result<(), Error> {
        let nsm_ms = document_time_ms(&self.nsm, &self.genesis).await?;
        let mut anchor = self.anchor.write().unwrap_or_else(PoisonError::into_inner);
        *anchor = anchor.renewed(nsm_ms, Instant::now());
        Ok(())
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
        assert_eq!(anchor.renewed(500, later).time_ms(later), 30_000);
        assert_eq!(anchor.renewed(40_000, later).time_ms(later), 40_000);
        assert_eq!(Anchor { at: later, ..anchor }.time_ms(start), 1_000);
    }

    #[test]
    fn a_document_is_renewed_in_time_and_counts_for_a_while_when_it_cannot_be() {
        let start = Instant::now();
        let anchor = Anchor { nsm_ms: 1_000, at: start };
        let ages =
            [(0, Freshness::Fresh), (29, Freshness::Fresh), (30, Freshness::Due), (299, Freshness::Due)];
        for (seconds, expected) in ages.into_iter().chain([(300, Freshness::TooOld)]) {
            assert_eq!(anchor.freshness(start + Duration::from_secs(seconds)), expected, "{seconds}");
        }
    }
}
