//! The asking side: a [`Channel`] keeps one connection to one endpoint and pipelines calls over it.
//!
//! Calls carry request ids, share frames and may be answered in any order. A connection has at most the server's
//! window of unanswered calls; further ones wait for a credit. A call whose caller gave up keeps its credit until
//! its late answer arrives and is dropped; if all credits are held so, the connection is given up.
//!
//! **What is retried: nothing that was written.** A call whose bytes may have reached the server is never sent again;
//! its error says that the outcome is unknown ([`Error::is_unhandled`] is false). The connection itself is re-established by
//! itself, after pauses that double from `reconnect_pause_min` to `reconnect_pause_max`.

mod admission;
mod backoff;
mod call;
mod connection;
mod error;
mod supervisor;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};

pub use admission::{Admission, AdmissionError, Newcomer};
pub use backoff::Backoff;
pub use connection::ConnectionError;
pub use error::Error;

use crate::endpoint::Endpoint;
use connection::Connection;
use supervisor::Shared;

/// How a channel connects.
#[derive(Debug, Clone, Copy)]
pub struct ChannelOptions {
    /// For the stream, the handshake and the server's hello together.
    pub connect_timeout: Duration,
    /// From the first byte of a frame to its last.
    pub frame_timeout: Duration,
    /// For the server to take one frame.
    pub write_timeout: Duration,
    /// First pause after a lost connection.
    pub reconnect_pause_min: Duration,
    /// Longest pause; a connection that outlived it starts again from the shortest.
    pub reconnect_pause_max: Duration,
}

impl Default for ChannelOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            frame_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(10),
            reconnect_pause_min: Duration::from_millis(50),
            reconnect_pause_max: Duration::from_secs(5),
        }
    }
}

/// Whether calls can be made now.
#[derive(Debug, Clone)]
pub enum Health {
    /// Connected.
    Ready,
    /// Not connected, with the reason once an attempt failed or a connection was lost.
    Connecting(Option<Arc<ConnectionError>>),
}

/// A connection to one worker that mends itself. Clones share it; it closes when the last one is dropped.
#[derive(Debug, Clone)]
pub struct Channel {
    shared: Arc<Shared>,
    state: watch::Receiver<supervisor::State>,
    outstanding: Arc<AtomicUsize>,
    _closes_on_drop: Arc<DropGuard>,
}

impl Channel {
    /// Opens a channel and waits for its first connection or the reason why there is none.
    pub async fn connect(endpoint: Endpoint, options: ChannelOptions) -> Result<Self, Error> {
        let mut channel = Self::open(endpoint, options, Arc::new(Notify::new()), None);
        // An error would mean that the supervisor ended, which it does only after this channel.
        let _ = channel.state.wait_for(|state| !matches!(state, supervisor::State::Connecting(None))).await;
        match channel.health() {
            Health::Ready => Ok(channel),
            Health::Connecting(cause) => Err(channel.not_connected(cause)),
        }
    }

    /// Opens a channel that connects in the background and tells `changed` whenever its health changes.
    pub(crate) fn open(
        endpoint: Endpoint,
        options: ChannelOptions,
        changed: Arc<Notify>,
        admission: Option<Arc<dyn Admission>>,
    ) -> Self {
        let (publisher, state) = watch::channel(supervisor::State::Connecting(None));
        let shared = Arc::new(Shared { endpoint, options, publisher, changed, admission });
        let stop = CancellationToken::new();
        let supervised = Arc::clone(&shared);
        tokio::spawn(stop.clone().run_until_cancelled_owned(supervisor::supervise(supervised)));
        let guard = Arc::new(stop.drop_guard());
        Self { shared, state, outstanding: Arc::default(), _closes_on_drop: guard }
    }

    /// Where the channel leads.
    pub fn endpoint(&self) -> &Endpoint {
        &self.shared.endpoint
    }

    /// Whether calls can be made now.
    pub fn health(&self) -> Health {
        match &*self.state.borrow() {
            supervisor::State::Ready(_) => Health::Ready,
            supervisor::State::Connecting(cause) => Health::Connecting(cause.clone()),
        }
    }

    /// Calls that the worker takes at once; 0 while there is no connection.
    pub fn window(&self) -> usize {
        match &*self.state.borrow() {
            supervisor::State::Ready(connection) => connection.window(),
            supervisor::State::Connecting(_) => 0,
        }
    }

    /// Calls under way, those that wait for a credit included.
    pub fn outstanding(&self) -> usize {
        self.outstanding.load(Ordering::Relaxed)
    }

    /// Sends `request` and waits for its response until `deadline`. While there is no connection, or one is lost
    /// before the request was written to it, the call waits for the next.
    pub async fn call(&self, request: impl Into<Bytes>, deadline: Instant) -> Result<Vec<u8>, Error> {
        let _counted = Outstanding::count(&self.outstanding);
        let request = request.into();
        let mut state = self.state.clone();
        loop {
            let ready = state.wait_for(|state| matches!(state, supervisor::State::Ready(_)));
            let connection = match timeout_at(deadline, ready).await {
                Ok(Ok(state)) => state.connection(),
                Ok(Err(_)) | Err(_) => None,
            };
            let is_last = connection.is_none();
            match self.submit(connection, request.clone(), deadline).await {
                Err(Error::NotConnected { .. }) if !is_last => {}
                outcome => return outcome,
            }
        }
    }

    /// Like [`call`](Self::call), but fails at once if there is no connection: a pool has other members.
    pub(crate) async fn call_if_ready(&self, request: Bytes, deadline: Instant) -> Result<Vec<u8>, Error> {
        let _counted = Outstanding::count(&self.outstanding);
        let connection = self.state.borrow().connection();
        self.submit(connection, request, deadline).await
    }

    async fn submit(
        &self,
        connection: Option<Arc<Connection>>,
        request: Bytes,
        deadline: Instant,
    ) -> Result<Vec<u8>, Error> {
        match connection {
            Some(connection) => call::call(self.endpoint(), &connection, request, deadline).await,
            None => match self.health() {
                Health::Connecting(cause) => Err(self.not_connected(cause)),
                Health::Ready => Err(self.not_connected(None)),
            },
        }
    }

    fn not_connected(&self, source: Option<Arc<ConnectionError>>) -> Error {
        Error::NotConnected { endpoint: self.endpoint().clone(), source }
    }
}

/// Counts a call for as long as it lives, also if its future is dropped.
struct Outstanding<'a>(&'a AtomicUsize);

impl<'a> Outstanding<'a> {
    fn count(counter: &'a AtomicUsize) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(counter)
    }
}

impl Drop for Outstanding<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
