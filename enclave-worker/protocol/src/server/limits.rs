//! What a server takes, holds and waits for.

use std::thread::available_parallelism;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::Error;
use crate::frame::Hello;
use crate::limits::{REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX};

/// Most threads of a server: more than any enclave has cores.
pub const THREADS_MAX: usize = 256;

/// The limits of one server. The defaults suit a signing worker with an enclave of 512 MiB.
#[derive(Debug, Clone, Copy)]
pub struct ServerLimits {
    /// Threads that handlers run on: one for each core that this process may use.
    pub threads: usize,
    /// Connections at once. Each may hold one frame being read and one being written, up to about 1 MiB beside
    /// the budget of `memory_bytes_max`.
    pub connections_max: usize,
    /// Unanswered requests of one connection.
    pub window: u16,
    /// Longest request.
    pub request_bytes_max: usize,
    /// Longest response. Every request in work reserves this much, so a server with small responses that says so
    /// here works on more of them at once.
    pub response_bytes_max: usize,
    /// For all requests in work and all answers not yet taken.
    pub memory_bytes_max: usize,
    /// Between two pings on a connection; three without any frame from the client end it.
    pub ping_interval: Duration,
    /// From the first byte of a frame to its last.
    pub frame_timeout: Duration,
    /// For a client to take one frame.
    pub write_timeout: Duration,
    /// For the work in hand at a shutdown.
    pub drain_timeout: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            threads: available_parallelism().map_or(1, usize::from).min(THREADS_MAX),
            connections_max: 64,
            window: 64,
            request_bytes_max: REQUEST_BYTES_MAX,
            response_bytes_max: RESPONSE_BYTES_MAX,
            memory_bytes_max: 64 * 1024 * 1024,
            ping_interval: Duration::from_secs(15),
            frame_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(10),
        }
    }
}

impl ServerLimits {
    /// The hello that announces these limits, if they can be kept.
    pub(super) fn checked_hello(&self) -> Result<Hello, Error> {
        let size = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
        let hello = Hello {
            request_bytes_max: size(self.request_bytes_max),
            response_bytes_max: size(self.response_bytes_max),
            window: self.window,
            ping_interval_ms: u32::try_from(self.ping_interval.as_millis()).unwrap_or(u32::MAX),
        };
        hello.validate()?;
        if self.connections_max == 0 {
            return Err(Error::NoConnections);
        }
        if !(1..=THREADS_MAX).contains(&self.threads) {
            return Err(Error::Threads { found: self.threads });
        }
        let (min, max) = (self.request_bytes_max + self.response_bytes_max, Semaphore::MAX_PERMITS);
        if !(min..=max).contains(&self.memory_bytes_max) {
            return Err(Error::MemoryBudget { found: self.memory_bytes_max, min, max });
        }
        Ok(hello)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame;

    #[test]
    fn limits_that_cannot_be_kept_are_refused_by_name() {
        let good = ServerLimits::default();
        assert!(good.checked_hello().is_ok());
        let field = |limits: ServerLimits| match limits.checked_hello() {
            Err(Error::Hello(frame::Error::InvalidHello { field, .. })) => field,
            Err(Error::NoConnections) => "connections_max",
            Err(Error::Threads { .. }) => "threads",
            Err(Error::MemoryBudget { .. }) => "memory_bytes_max",
            outcome => panic!("{outcome:?}"),
        };
        let cases = [
            (ServerLimits { window: 0, ..good }, "window"),
            (ServerLimits { request_bytes_max: usize::MAX, ..good }, "request_bytes_max"),
            (ServerLimits { response_bytes_max: 0, ..good }, "response_bytes_max"),
            (ServerLimits { ping_interval: Duration::MAX, ..good }, "ping_interval_ms"),
            (ServerLimits { connections_max: 0, ..good }, "connections_max"),
            (ServerLimits { threads: 0, ..good }, "threads"),
            (ServerLimits { threads: THREADS_MAX + 1, ..good }, "threads"),
            (ServerLimits { memory_bytes_max: RESPONSE_BYTES_MAX, ..good }, "memory_bytes_max"),
            (ServerLimits { memory_bytes_max: usize::MAX, ..good }, "memory_bytes_max"),
        ];
        for (limits, expected) in cases {
            assert_eq!(field(limits), expected);
        }
    }
}
