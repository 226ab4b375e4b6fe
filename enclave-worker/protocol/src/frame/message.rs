//! One message within a batch: who asks, what kind of answer, opaque payload.

use std::fmt;

use bytes::Bytes;

use super::{Error, take};
use crate::limits::{MESSAGE_HEADER_BYTES, REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX};

/// A message with an empty payload.
pub(super) const MESSAGE_BYTES_MIN: usize = MESSAGE_HEADER_BYTES;

/// A request or its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Chosen by the client, unique within its connection; the answer carries the same.
    pub request_id: u64,
    /// What is said.
    pub body: Body,
}

/// The payload with its class, which decides its limit.
#[derive(Clone, PartialEq, Eq)]
pub enum Body {
    /// A client's question.
    Request(Bytes),
    /// The handler's answer.
    Response(Bytes),
    /// The server has no answer.
    Refusal(Refusal),
}

/// Why a server has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The server is draining; the request was not handled.
    ShuttingDown,
    /// The request exceeds the server's advertised limit; it was not handled.
    RequestTooLarge,
    /// The request was handled, but its response exceeds the server's limit.
    ResponseTooLarge,
    /// The handler failed in the midst of the request; what it did is unknown.
    HandlerFailed,
}

/// Payloads may be confidential: logs get the length alone.
impl fmt::Debug for Body {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(payload) => write!(formatter, "Request({} bytes)", payload.len()),
            Self::Response(payload) => write!(formatter, "Response({} bytes)", payload.len()),
            Self::Refusal(refusal) => write!(formatter, "Refusal({refusal:?})"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::ShuttingDown => "it is shutting down",
            Self::RequestTooLarge => "the request exceeds its limit",
            Self::ResponseTooLarge => "the response exceeds its limit",
            Self::HandlerFailed => "its handler failed",
        })
    }
}

impl Refusal {
    const ALL: [Self; 4] =
        [Self::ShuttingDown, Self::RequestTooLarge, Self::ResponseTooLarge, Self::HandlerFailed];

    /// True if the request certainly had no effect, so that another server may be asked.
    pub fn is_unhandled(self) -> bool {
        matches!(self, Self::ShuttingDown | Self::RequestTooLarge)
    }

    fn code(self) -> u8 {
        match self {
            Self::ShuttingDown => 1,
            Self::RequestTooLarge => 2,
            Self::ResponseTooLarge => 3,
            Self::HandlerFailed => 4,
        }
    }
}

const REQUEST: u8 = 1;
const RESPONSE: u8 = 2;
const REFUSAL: u8 = 3;

impl Message {
    /// Length on the wire.
    pub(super) fn encoded_bytes(&self) -> usize {
        MESSAGE_HEADER_BYTES
            + match &self.body {
                Body::Request(payload) | Body::Response(payload) => payload.len(),
                Body::Refusal(_) => 1,
            }
    }

    /// Appends the message, or refuses it and leaves `out` as it was.
    pub(super) fn encode(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        match &self.body {
            Body::Request(payload) => self.put(REQUEST, payload, out),
            Body::Response(payload) => self.put(RESPONSE, payload, out),
            Body::Refusal(refusal) => self.put(REFUSAL, &[refusal.code()], out),
        }
    }

    fn put(&self, kind: u8, payload: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        let length = checked_length(kind, payload.len())?;
        out.extend_from_slice(&self.request_id.to_be_bytes());
        out.push(kind);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(payload);
        Ok(())
    }

    /// Takes one message from the front of a batch's body.
    pub(super) fn parse(input: &mut &[u8]) -> Result<Self, Error> {
        const TRUNCATED: Error = Error::Truncated { kind: "batch" };
        let request_id = u64::from_be_bytes(take(input).ok_or(TRUNCATED)?);
        let [kind] = take(input).ok_or(TRUNCATED)?;
        let length = u32::from_be_bytes(take(input).ok_or(TRUNCATED)?);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        checked_length(kind, length)?;
        let (payload, rest) = input.split_at_checked(length).ok_or(TRUNCATED)?;
        *input = rest;
        Ok(Self { request_id, body: Body::parse(kind, payload)? })
    }
}

impl Body {
    fn parse(kind: u8, payload: &[u8]) -> Result<Self, Error> {
        match (kind, payload) {
            (REQUEST, payload) => Ok(Self::Request(Bytes::copy_from_slice(payload))),
            (RESPONSE, payload) => Ok(Self::Response(Bytes::copy_from_slice(payload))),
            (REFUSAL, [code]) => {
                let known = Refusal::ALL.into_iter().find(|refusal| refusal.code() == *code);
                Ok(Self::Refusal(known.ok_or(Error::MalformedRefusal)?))
            }
            (REFUSAL, _) => Err(Error::MalformedRefusal),
            (found, _) => Err(Error::UnknownMessageKind { found }),
        }
    }
}

fn checked_length(kind: u8, bytes: usize) -> Result<u32, Error> {
    let (name, max) = match kind {
        REQUEST => ("request", REQUEST_BYTES_MAX),
        RESPONSE => ("response", RESPONSE_BYTES_MAX),
        REFUSAL => ("refusal", 1),
        found => return Err(Error::UnknownMessageKind { found }),
    };
    match u32::try_from(bytes) {
        Ok(length) if bytes <= max => Ok(length),
        _ => Err(Error::MessageTooLarge { kind: name, found: bytes, max }),
    }
}
