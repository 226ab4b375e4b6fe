//! An NSM on a thread of its own, asked over a bounded queue, because its calls block.

use std::thread;

use nsl_verify::attestation::Pcr;
use tokio::sync::{mpsc, oneshot};
use zeroize::Zeroizing;

use super::{AttestationRequest, Description, Error, Nsm};

/// Requests that wait for the NSM, which does one at a time; further askers wait for a place.
const QUEUE_REQUESTS_MAX: usize = 64;
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
            // An asker that was cancelled no longer waits for the answer.
            drop(answer.send(operation(nsm)));
        });
        self.requests.send(request).await.map_err(|_| Error::Stopped)?;
        answered.await.map_err(|_| Error::Stopped)?
    }
}
