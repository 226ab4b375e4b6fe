//! The time by which grants are judged: the NSM's, which the host cannot set.
//!
//! The NSM tells the time only in attestation documents, so the clock asks for one now and then and counts on from
//! it. It verifies each: that its own NSM signed it, under the manifest's root and with its commitment. It never goes
//! back. Jobs do not wait for a new document as long as the last one is not too old: the NSM's driver may take minutes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nsl_verify::attestation::{self, Expectation, Pcr, TrustRoot, VerifyTime};

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
    /// The worker's own document does not pass: PCR16 commits to another manifest, or the root is not the manifest's.
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

    /// The anchor of a document that came at `at`, not before the time that this one has reached; an older document
    /// changes nothing.
    fn renewed(self, nsm_ms: u64, at: Instant) -> Self {
        if at <= self.at { self } else { Self { nsm_ms: nsm_ms.max(self.time_ms(at)), at } }
    }
}

/// A document, and when it came.
type Fetched = (Vec<u8>, Instant);

/// The worker's clock.
#[derive(Debug)]
pub(crate) struct NsmClock {
    nsm: NsmHandle,
    expectation: Expectation,
    root: TrustRoot,
    anchor: Mutex<Anchor>,
    /// Held while a document is fetched, so that the jobs of that moment ask for one together.
    renewal: Arc<tokio::sync::Mutex<()>>,
    /// Fetched meanwhile, for the next job to verify: cryptography is done by the threads of jobs.
    fetched: Arc<Mutex<Option<Fetched>>>,
}

impl NsmClock {
    /// A clock with its first document; `measurements` are this worker's own.
    pub(crate) async fn start(
        nsm: NsmHandle,
        genesis: &Genesis,
        measurements: [Pcr; 3],
    ) -> Result<Self, Error> {
        let expectation = Expectation::of_manifest([measurements], genesis.sha256().0);
        let root = *genesis.root();
        let (document, at) = fetch(&nsm).await?;
        let nsm_ms = document_time_ms(&document, &expectation, &root)?;
        let anchor = Mutex::new(Anchor { nsm_ms, at });
        Ok(Self { nsm, expectation, root, anchor, renewal: Arc::default(), fetched: Arc::default() })
    }

    /// The present in Unix ms; waits only when the last document is too old.
    pub(crate) async fn now_ms(&self) -> Result<u64, Error> {
        match self.freshness() {
            Freshness::Fresh => {}
            Freshness::Due => self.renew_meanwhile(),
            Freshness::TooOld => {
                let _renewal = self.renewal.lock().await;
                // Another job may have waited for the same.
                if self.freshness() == Freshness::TooOld {
                    self.renew(&fetch(&self.nsm).await?)?;
                }
            }
        }
        Ok(whole(&self.anchor).time_ms(Instant::now()))
    }

    fn freshness(&self) -> Freshness {
        whole(&self.anchor).freshness(Instant::now())
    }

    /// Takes the document that has come, or has one fetched.
    fn renew_meanwhile(&self) {
        let fetched = whole(&self.fetched).take();
        let renewed = fetched.map(|fetched| self.renew(&fetched));
        match renewed {
            Some(Ok(())) => {}
            Some(Err(error)) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "clock goes on without the nsm");
            }
            None => self.fetch_meanwhile(),
        }
    }

    fn fetch_meanwhile(&self) {
        let Ok(renewal) = Arc::clone(&self.renewal).try_lock_owned() else { return };
        let (nsm, place) = (self.nsm.clone(), Arc::clone(&self.fetched));
        tokio::spawn(async move {
            match fetch(&nsm).await {
                Ok(fetched) => *whole(&place) = Some(fetched),
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "clock goes on without the nsm");
                }
            }
            drop(renewal);
        });
    }

    fn renew(&self, (document, at): &Fetched) -> Result<(), Error> {
        let nsm_ms = document_time_ms(document, &self.expectation, &self.root)?;
        let mut anchor = whole(&self.anchor);
        *anchor = anchor.renewed(nsm_ms, *at);
        Ok(())
    }
}

/// What these locks guard is replaced whole, so a poisoned one would still guard something whole.
fn whole<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn fetch(nsm: &NsmHandle) -> Result<Fetched, Error> {
    let document = nsm.attest(AttestationRequest::default()).await.map_err(Error::Nsm)?;
    Ok((document, Instant::now()))
}

fn document_time_ms(document: &[u8], expectation: &Expectation, root: &TrustRoot) -> Result<u64, Error> {
    attestation::verify(document, expectation, root, VerifyTime::Document)
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
        assert_eq!(Anchor { at: later, ..anchor }.renewed(5_000, start).time_ms(later), 1_000);
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
