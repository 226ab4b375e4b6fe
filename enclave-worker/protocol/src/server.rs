//! The answering side: [`serve`] accepts connections, greets each with a hello, runs a handler for every request
//! on threads of its own and writes the answers as they come, those of a moment together.
//!
//! Bounds: `connections_max` connections, each with at most `window` unanswered requests (one more closes it), one
//! frame being read and one being written; over all connections, `memory_bytes_max` for requests in work and
//! answers not yet taken.
//! A client that does not read, drips or is silent loses its connection; others do not notice.

mod answer;
mod connection;
mod limits;
mod threads;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

pub use limits::{ServerLimits, THREADS_MAX};

use crate::frame::{self, Hello};
use crate::listener::Listener;
use crate::stream::Stream;
use threads::Threads;

/// Pause after a failed accept: file descriptors run out for seconds, and spinning would not free one.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Why a server cannot start.
#[derive(Debug, Error)]
pub enum Error {
    /// A limit the hello cannot announce.
    #[error("server limits cannot be announced")]
    Hello(#[from] frame::Error),
    /// No connection could ever be served.
    #[error("connections_max is zero")]
    NoConnections,
    /// Nothing would ever be done, or by more threads than any machine has cores.
    #[error("{found} threads, expected 1 to {THREADS_MAX}")]
    Threads {
        /// The number given.
        found: usize,
    },
    /// A thread cannot be started.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    /// The budget does not hold a single request with its response, or is more than can be counted.
    #[error("memory_bytes_max = {found}, expected {min} to {max}")]
    MemoryBudget {
        /// The budget given.
        found: usize,
        /// One largest request and its largest response.
        min: usize,
        /// The most the budget can count.
        max: usize,
    },
}

/// What all connections of a server share.
struct Server<H> {
    handler: Arc<H>,
    threads: Threads,
    limits: ServerLimits,
    hello: Hello,
    memory: Arc<Semaphore>,
    drain: CancellationToken,
    tasks: TaskTracker,
}

/// Serves `listener` until `shutdown` completes; then takes no more, lets every connection finish what it took
/// within `limits.drain_timeout`, and returns.
///
/// Requests run on `limits.threads` threads, also those of one connection, and may be answered in any order. A handler
/// runs to its end even if its client is gone by then; one that panics, or waits for what can never come, is answered
/// with `Refusal::HandlerFailed`.
pub async fn serve<H, F>(
    listener: Listener,
    handler: H,
    limits: ServerLimits,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Error>
where
    H: Fn(Vec<u8>) -> F + Send + Sync + 'static,
    F: Future<Output = Vec<u8>> + Send + 'static,
{
    let hello = limits.checked_hello()?;
    let server = Arc::new(Server {
        handler: Arc::new(handler),
        threads: Threads::start(limits.threads).map_err(Error::Thread)?,
        hello,
        memory: Arc::new(Semaphore::new(limits.memory_bytes_max)),
        drain: CancellationToken::new(),
        tasks: TaskTracker::new(),
        limits,
    });
    tokio::select! {
        () = accept_connections(&listener, &server) => {}
        () = shutdown => {}
    }
    drop(listener);
    server.drain.cancel();
    server.tasks.close();
    // Connections end by their own drain deadline; a handler that hangs must not hold the process for ever.
    let deadline = limits.drain_timeout.saturating_add(limits.write_timeout);
    if timeout(deadline, server.tasks.wait()).await.is_err() {
        warn!(tasks = server.tasks.len(), "shutting down with handlers that did not end");
    }
    Ok(())
}

async fn accept_connections<H, F>(listener: &Listener, server: &Arc<Server<H>>)
where
    H: Fn(Vec<u8>) -> F + Send + Sync + 'static,
    F: Future<Output = Vec<u8>> + Send + 'static,
{
    let slots = Arc::new(Semaphore::new(server.limits.connections_max));
    loop {
        // A connection over the limit waits in the kernel's backlog, where it costs us nothing.
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        let stream = accept(listener).await;
        let server = Arc::clone(server);
        server.tasks.clone().spawn(async move {
            let error = connection::run(stream, server).await;
            debug!(error = &error as &dyn std::error::Error, "connection ended");
            drop(slot);
        });
    }
}

async fn accept(listener: &Listener) -> Stream {
    loop {
        match listener.accept().await {
            Ok(stream) => return stream,
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
