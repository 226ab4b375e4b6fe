//! Answers the question `attestation`: a worker's document with the asker's challenge in it. The host only carries it; the
//! asker proves it for itself.

use std::num::NonZeroUsize;
use std::time::Duration;

use nsl_bus::Bus;
use nsl_bus::async_nats::Message;
use nsl_bus::request::{self, Endpoint, Reply as BusReply};
use nsl_enclave_protocol::{Pool, Request, Response, pool};
use nsl_schemas::canonical;
use nsl_schemas::errors::{self, ErrorCode};
use nsl_schemas::query::{Attestation, AttestationRequest, NONCE_BYTES_MAX, NONCE_BYTES_MIN, Reply, name};
use nsl_schemas::subject;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// All hosts share the questions.
const QUEUE: &str = "nsl-enclave-host";
/// Documents made at once: an NSM signs some ten a second, and jobs that need one must not wait behind askers.
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
    #[error("worker answered with something else")]
    Answer,
}

impl Error {
    fn code(&self) -> ErrorCode {
        match self {
            Self::TooLong | Self::Question(_) | Self::Nonce => errors::QUERY_INVALID,
            Self::Call(_) | Self::Answer => errors::UNAVAILABLE,
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
    let endpoint = Endpoint {
        subject: subject::query_of_all_tenants(name::ATTESTATION),
        queue: QUEUE.to_owned(),
        max_concurrent: CONCURRENT,
    };
    let handler = move |message: Message| {
        let pool = pool.clone();
        async move {
            let reply = match answer(&pool, timeout, &message.payload).await {
                Ok(attestation) => Reply::Ok(attestation),
                Err(error) => Reply::Error { code: error.code().code.to_owned(), message: error.to_string() },
            };
            BusReply { payload: canonical::to_string(&reply).into(), ..BusReply::default() }
        }
    };
    bus.serve(endpoint, stop, handler).await
}

async fn answer(pool: &Pool, timeout: Duration, question: &[u8]) -> Result<Attestation, Error> {
    if question.len() > QUESTION_BYTES_MAX {
        return Err(Error::TooLong);
    }
    let AttestationRequest { nonce } = canonical::from_slice(question).map_err(Error::Question)?;
    if !(NONCE_BYTES_MIN..=NONCE_BYTES_MAX).contains(&nonce.0.len()) {
        return Err(Error::Nonce);
    }
    let request = Request::Register { nonce }.to_bytes();
    let answer = pool.call(request, Instant::now() + timeout).await?;
    match Response::from_bytes(&answer) {
        Ok(Response::Registration { key, attestation }) => Ok(Attestation { key, document: attestation }),
        Ok(_) | Err(_) => Err(Error::Answer),
    }
}
