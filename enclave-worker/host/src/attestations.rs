//! Answers the questions `attestation` and `secret-pool-key`: a worker's document with the asker's challenge in it. The host
//! only carries it; the asker proves it for itself.

use std::num::NonZeroUsize;
use std::time::Duration;

use nsl_bus::Bus;
use nsl_bus::async_nats::Message;
use nsl_bus::request::{self, Endpoint, Reply as BusReply};
use nsl_enclave_protocol::{Pool, Request, Response, pool};
use nsl_schemas::bytes::Base64;
use nsl_schemas::canonical;
use nsl_schemas::errors::{self, ErrorCode};
use nsl_schemas::query::{Attestation, AttestationRequest, NONCE_BYTES_MAX, NONCE_BYTES_MIN, Reply, name};
use nsl_schemas::secret::PoolKey;
use nsl_schemas::subject;
use serde::Serialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// All hosts share the questions.
const QUEUE: &str = "nsl-enclave-host";
/// Documents made at once for either question: an NSM signs some ten a second, and jobs that need one must not wait behind askers.
const CONCURRENT: NonZeroUsize = NonZeroUsize::new(2).expect("2 is not 0");
/// Longest question: a nonce of 64 bytes in base64.
const QUESTION_BYTES_MAX: usize = 256;

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("a question has at most {QUESTION_BYTES_MAX} bytes")]
    TooLong,
    #[error(transparent)]
    Question(canonical::Error),
    #[error("a nonce has {NONCE_BYTES_MIN} to {NONCE_BYTES_MAX} bytes")]
    Nonce,
    #[error("no worker answers")]
    Call(#[from] pool::Error),
    #[error("worker made no document ({code}): {message}")]
    Failed { code: String, message: String },
    #[error("worker answered with something else")]
    Answer,
}

impl Error {
    fn code(&self) -> ErrorCode {
        match self {
            Self::TooLong | Self::Question(_) | Self::Nonce => errors::QUERY_INVALID,
            Self::Failed { code, .. } if *code == errors::SEALING_KEY_MISSING.code => {
                errors::SEALING_KEY_MISSING
            }
            Self::Failed { .. } | Self::Call(_) | Self::Answer => errors::UNAVAILABLE,
        }
    }
}

impl From<Response> for Error {
    /// Not what was asked for.
    fn from(response: Response) -> Self {
        match response {
            Response::Error { code, message } => Self::Failed { code, message },
            _ => Self::Answer,
        }
    }
}

/// Serves documents of the pool's workers until `stop`.
pub(crate) async fn serve(
    bus: Bus,
    pool: Pool,
    timeout: Duration,
    stop: CancellationToken,
) -> Result<(), request::Error> {
    let workers = Workers { pool, timeout };
    let keys = {
        let workers = workers.clone();
        bus.serve(endpoint(name::SECRET_POOL_KEY), stop.clone(), move |message: Message| {
            let workers = workers.clone();
            async move { told(workers.pool_key(&message.payload).await) }
        })
    };
    let documents = bus.serve(endpoint(name::ATTESTATION), stop, move |message: Message| {
        let workers = workers.clone();
        async move { told(workers.attestation(&message.payload).await) }
    });
    tokio::try_join!(keys, documents).map(drop)
}

fn endpoint(name: &str) -> Endpoint {
    let subject = subject::query_of_all_tenants(name);
    Endpoint { subject, queue: QUEUE.to_owned(), max_concurrent: CONCURRENT }
}

fn told<T: Serialize>(answer: Result<T, Error>) -> BusReply {
    let reply = match answer {
        Ok(answer) => Reply::Ok(answer),
        Err(error) => Reply::Error { code: error.code().code.to_owned(), message: error.to_string() },
    };
    BusReply { payload: canonical::to_string(&reply).into(), ..BusReply::default() }
}

/// Who signs.
#[derive(Debug, Clone)]
struct Workers {
    pool: Pool,
    timeout: Duration,
}

impl Workers {
    async fn attestation(&self, question: &[u8]) -> Result<Attestation, Error> {
        match self.ask(Request::Register { nonce: challenge(question)? }).await? {
            Response::Registration { key, attestation } => Ok(Attestation { key, document: attestation }),
            other => Err(other.into()),
        }
    }

    async fn pool_key(&self, question: &[u8]) -> Result<PoolKey, Error> {
        match self.ask(Request::PoolKey { nonce: challenge(question)? }).await? {
            Response::PoolKey { pool_key } => Ok(*pool_key),
            other => Err(other.into()),
        }
    }

    async fn ask(&self, request: Request) -> Result<Response, Error> {
        let answer = self.pool.call(request.to_bytes(), Instant::now() + self.timeout).await?;
        Response::from_bytes(&answer).map_err(|_| Error::Answer)
    }
}

fn challenge(question: &[u8]) -> Result<Base64, Error> {
    if question.len() > QUESTION_BYTES_MAX {
        return Err(Error::TooLong);
    }
    let AttestationRequest { nonce } = canonical::from_slice(question).map_err(Error::Question)?;
    if (NONCE_BYTES_MIN..=NONCE_BYTES_MAX).contains(&nonce.0.len()) { Ok(nonce) } else { Err(Error::Nonce) }
}
