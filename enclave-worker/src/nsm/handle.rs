//! An NSM on a thread of its own, asked over a bounded queue, because its calls block.

use std::thread;
use std::time::Duration;

use nsl_verify::attestation::Pcr;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::{AttestationRequest, Description, Error, Nsm};

/// Requests that wait for the NSM, which does one at a time; further askers wait for a place.
const QUEUE_REQUESTS_MAX: usize = 64;
/// For an answer, the wait for a place included. The driver may wait 120 s for its device; whoever asks has better to do
/// than that, and hosts give up on a worker's admission after 20 s.
const DEADLINE: Duration = Duration::from_secs(10);
/// Most randomness in one request: a hundred keys' worth, and a bound on what an asker makes us allocate.
pub const RANDOM_BYTES_MAX: usize = 4096;

type Request = Box<dyn FnOnce(&mut dyn Nsm) + Send>;

/// Asks an NSM from any task; its thread ends with the last clone.
#[derive(Debug, Clone)]
pub struct NsmHandle {
    requests: mpsc::Sender<Request>,
}

impl NsmHandle {
    /// Moves the NSM to a thread of its own.
    pub fn start(mut nsm: Box<dyn Nsm>) -> Result<Self, Error> {
        let (requests, mut waiting) = mpsc::channel::<Request>(QUEUE_REQUESTS_MAX);
        let serve = move || {
            while let Some(request) = waiting.blocking_recv() {
                request(&mut *nsm);
            }
        };
        thread::Builder::new().name("nsm".to_owned()).spawn(serve).map_err(Error::Thread)?;
        Ok(Self { requests })
    }

    /// What the module says of itself.
    pub async fn describe(&self) -> Result<Description, Error> {
        self.ask(|nsm| nsm.describe()).await
    }

    /// The value of a register.
    pub async fn pcr(&self, index: u16) -> Result<Pcr, Error> {
        self.ask(move |nsm| nsm.pcr(index)).await
    }

    /// Extends a register and returns its new value.
    pub async fn extend_pcr(&self, index: u16, data: Vec<u8>) -> Result<Pcr, Error> {
        self.ask(move |nsm| nsm.extend_pcr(index, &data)).await
    }

    /// Makes a register read-only.
    pub async fn lock_pcr(&self, index: u16) -> Result<(), Error> {
        self.ask(move |nsm| nsm.lock_pcr(index)).await
    }

    /// Signs an attestation document.
    pub async fn attest(&self, request: AttestationRequest) -> Result<Vec<u8>, Error> {
        self.ask(move |nsm| nsm.attest(request)).await
    }

    /// Randomness of the given length, up to [`RANDOM_BYTES_MAX`].
    pub async fn random(&self, bytes: usize) -> Result<Zeroizing<Vec<u8>>, Error> {
        if bytes > RANDOM_BYTES_MAX {
            return Err(Error::TooMuchRandomness { bytes, limit: RANDOM_BYTES_MAX });
        }
        self.ask(move |nsm| {
            let mut random = Zeroizing::new(vec![0; bytes]);
            nsm.random(&mut random)?;
            Ok(random)
        })
        .await
    }

    async fn ask<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut dyn Nsm) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        let request = Box::new(move |nsm: &mut dyn Nsm| {
            // An asker that gave up no longer waits for the answer, and others wait for the NSM.
            if !answer.is_closed() {
                drop(answer.send(operation(nsm)));
            }
        });
        let asked = async {
            self.requests.send(request).await.map_err(|_| Error::Stopped)?;
            answered.await.map_err(|_| Error::Stopped)?
        };
        timeout(DEADLINE, asked).await.unwrap_or(Err(Error::Deadline { limit: DEADLINE }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// Answers a request for randomness when it is let, and counts them.
    struct Slow {
        lets: Receiver<()>,
        asked: Arc<AtomicUsize>,
    }

    impl Nsm for Slow {
        fn describe(&mut self) -> Result<Description, Error> {
            Err(Error::Stopped)
        }

        fn pcr(&mut self, _index: u16) -> Result<Pcr, Error> {
            Err(Error::Stopped)
        }

        fn extend_pcr(&mut self, _index: u16, _data: &[u8]) -> Result<Pcr, Error> {
            Err(Error::Stopped)
        }

        fn lock_pcr(&mut self, _index: u16) -> Result<(), Error> {
            Ok(())
        }

        fn attest(&mut self, _request: AttestationRequest) -> Result<Vec<u8>, Error> {
            Ok(vec![])
        }

        fn random(&mut self, _buffer: &mut [u8]) -> Result<(), Error> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            self.lets.recv().map_err(|_| Error::Stopped)
        }
    }

    fn slow() -> (NsmHandle, Sender<()>, Arc<AtomicUsize>) {
        let (lets, let_go) = channel();
        let asked = Arc::new(AtomicUsize::new(0));
        let nsm = Slow { lets: let_go, asked: Arc::clone(&asked) };
        (NsmHandle::start(Box::new(nsm)).unwrap(), lets, asked)
    }

    #[tokio::test(start_paused = true)]
    async fn an_nsm_that_hangs_costs_each_asker_its_deadline_and_no_more() {
        let (nsm, lets, asked) = slow();
        // More than the queue holds: those without a place give up like the others.
        let askers: Vec<_> = (0..QUEUE_REQUESTS_MAX * 2)
            .map(|_| {
                let nsm = nsm.clone();
                tokio::spawn(async move { nsm.random(1).await })
            })
            .collect();
        while asked.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        for asker in askers {
            assert!(matches!(asker.await.unwrap(), Err(Error::Deadline { .. })));
        }
        // Only the one that hung was asked; when it comes back, nobody's old request is done before a new one.
        tokio::time::resume();
        lets.send(()).unwrap();
        nsm.lock_pcr(16).await.unwrap();
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }
}
