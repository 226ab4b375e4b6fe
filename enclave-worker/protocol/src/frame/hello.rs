//! The server's hello: what it takes, how much at once, and how often it gives a sign of life.

use super::{Error, take};
use crate::limits::{PING_INTERVAL_MS_MAX, REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX, WINDOW_MAX};

/// Two sizes, the window and the interval.
pub(super) const HELLO_BYTES: usize = 4 + 4 + 2 + 4;

/// What a server announces. Every field is at least one and at most the protocol's ceiling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hello {
    /// Longest request it takes.
    pub request_bytes_max: u32,
    /// Longest response it gives.
    pub response_bytes_max: u32,
    /// How many requests a connection may have unanswered.
    pub window: u16,
    /// How often it pings.
    pub ping_interval_ms: u32,
}

impl Hello {
    /// Refuses, by field, a limit of zero or above the protocol's.
    pub fn validate(&self) -> Result<(), Error> {
        let size = |bytes: u32| usize::try_from(bytes).unwrap_or(usize::MAX);
        check("request_bytes_max", size(self.request_bytes_max), REQUEST_BYTES_MAX)?;
        check("response_bytes_max", size(self.response_bytes_max), RESPONSE_BYTES_MAX)?;
        check("window", usize::from(self.window), usize::from(WINDOW_MAX))?;
        check("ping_interval_ms", size(self.ping_interval_ms), size(PING_INTERVAL_MS_MAX))
    }

    pub(super) fn encode(&self) -> [u8; HELLO_BYTES] {
        let mut out = [0; HELLO_BYTES];
        let (sizes, rest) = out.split_at_mut(8);
        let (request, response) = sizes.split_at_mut(4);
        let (window, interval) = rest.split_at_mut(2);
        request.copy_from_slice(&self.request_bytes_max.to_be_bytes());
        response.copy_from_slice(&self.response_bytes_max.to_be_bytes());
        window.copy_from_slice(&self.window.to_be_bytes());
        interval.copy_from_slice(&self.ping_interval_ms.to_be_bytes());
        out
    }

    pub(super) fn parse(mut body: &[u8]) -> Result<Self, Error> {
        const TRUNCATED: Error = Error::Truncated { kind: "hello" };
        let input = &mut body;
        let hello = Self {
            request_bytes_max: u32::from_be_bytes(take(input).ok_or(TRUNCATED)?),
            response_bytes_max: u32::from_be_bytes(take(input).ok_or(TRUNCATED)?),
            window: u16::from_be_bytes(take(input).ok_or(TRUNCATED)?),
            ping_interval_ms: u32::from_be_bytes(take(input).ok_or(TRUNCATED)?),
        };
        hello.validate()?;
        Ok(hello)
    }
}

fn check(field: &'static str, found: usize, max: usize) -> Result<(), Error> {
    if (1..=max).contains(&found) { Ok(()) } else { Err(Error::InvalidHello { field, found, max }) }
}
