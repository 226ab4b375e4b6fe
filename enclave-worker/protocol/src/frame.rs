//! The wire format, without I/O: frames of a fixed header and a bounded body, all integers big-endian.
//!
//! ```text
//! frame    magic "NE" · version u8 · kind u8 · body length u32 · body
//! hello    request bytes max u32 · response bytes max u32 · window u16 · ping interval ms u32
//! batch    1 to 64 messages: request id u64 · kind u8 · length u32 · payload
//! close    reason u8
//! ping, pong, drain: empty
//! ```
//!
//! The server speaks first, with its hello (vhost-device-vsock loses bytes that follow a connect at once).

mod batch;
mod decoder;
mod hello;
mod message;

use thiserror::Error;

pub use batch::BatchEncoder;
pub use decoder::Decoder;
pub use hello::Hello;
pub use message::{Body, Message, Refusal};

use crate::limits::{BATCH_BODY_BYTES_MAX, MESSAGES_PER_FRAME_MAX};

/// First bytes of every frame, so that a stray peer is noticed with its first frame.
const MAGIC: [u8; 2] = *b"NE";

/// The one version there is.
const VERSION: u8 = 1;

/// Magic, version, kind and body length.
pub const HEADER_BYTES: usize = 2 + 1 + 1 + 4;

/// A buffer that grew beyond this for one large frame is given back after it: most frames are small, and every
/// connection holds one buffer for each direction.
const BUFFER_RETAINED_BYTES: usize = 64 * 1024;

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// The server's first word: what it takes and how often it pings.
    Hello(Hello),
    /// Requests (to the server) or answers (to the client).
    Batch(Vec<Message>),
    /// The server asks for a sign of life.
    Ping,
    /// The client's sign of life.
    Pong,
    /// The server takes no more requests and answers those it has.
    Drain,
    /// The server's last word before it closes.
    Close(CloseReason),
}

/// Why a server closes a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// The bytes were no frame of this protocol.
    Malformed,
    /// The client had more requests unanswered than its window.
    WindowExceeded,
    /// The frame or message is not a client's to send.
    UnexpectedFrame,
    /// A frame took too long to arrive, or no sign of life came.
    TooSlow,
}

/// Why bytes are no frame, or a message does not fit one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Error {
    /// The peer speaks something else.
    #[error("frame begins with {found:02x?} instead of the magic bytes {MAGIC:02x?}")]
    BadMagic {
        /// The bytes found.
        found: [u8; 2],
    },
    /// The peer speaks another version.
    #[error("protocol version {found} is not {VERSION}")]
    UnsupportedVersion {
        /// The version found.
        found: u8,
    },
    /// No such kind of frame.
    #[error("unknown frame kind {found}")]
    UnknownFrameKind {
        /// The kind found.
        found: u8,
    },
    /// A body length that this kind of frame cannot have.
    #[error("{kind} frame of {found} bytes, expected {min} to {max}")]
    BodyLength {
        /// Which kind of frame.
        kind: &'static str,
        /// The length found.
        found: u32,
        /// Shortest body of the kind.
        min: usize,
        /// Longest body of the kind.
        max: usize,
    },
    /// A body that ends within a field.
    #[error("{kind} frame ends within a field")]
    Truncated {
        /// Which kind of frame.
        kind: &'static str,
    },
    /// More messages than a frame may hold.
    #[error("more than {MESSAGES_PER_FRAME_MAX} messages in a frame")]
    TooManyMessages,
    /// No such kind of message.
    #[error("unknown message kind {found}")]
    UnknownMessageKind {
        /// The kind found.
        found: u8,
    },
    /// A payload over its class' limit.
    #[error("{kind} of {found} bytes exceeds the limit of {max}")]
    MessageTooLarge {
        /// Which class of message.
        kind: &'static str,
        /// The length found.
        found: usize,
        /// The limit of the class.
        max: usize,
    },
    /// No such refusal.
    #[error("malformed refusal")]
    MalformedRefusal,
    /// No such reason to close.
    #[error("unknown close reason {found}")]
    UnknownCloseReason {
        /// The reason found.
        found: u8,
    },
    /// A hello whose limits are zero or above the protocol's.
    #[error("hello with {field} = {found}, expected 1 to {max}")]
    InvalidHello {
        /// Which limit.
        field: &'static str,
        /// The value found.
        found: usize,
        /// The protocol's ceiling.
        max: usize,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Hello,
    Batch,
    Ping,
    Pong,
    Drain,
    Close,
}

impl Kind {
    const ALL: [Self; 6] = [Self::Hello, Self::Batch, Self::Ping, Self::Pong, Self::Drain, Self::Close];

    fn code(self) -> u8 {
        match self {
            Self::Hello => 1,
            Self::Batch => 2,
            Self::Ping => 3,
            Self::Pong => 4,
            Self::Drain => 5,
            Self::Close => 6,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Hello => "hello",
            Self::Batch => "batch",
            Self::Ping => "ping",
            Self::Pong => "pong",
            Self::Drain => "drain",
            Self::Close => "close",
        }
    }

    /// Shortest and longest body.
    fn body_bytes(self) -> (usize, usize) {
        match self {
            Self::Hello => (hello::HELLO_BYTES, hello::HELLO_BYTES),
            Self::Batch => (message::MESSAGE_BYTES_MIN, BATCH_BODY_BYTES_MAX),
            Self::Ping | Self::Pong | Self::Drain => (0, 0),
            Self::Close => (1, 1),
        }
    }
}

impl CloseReason {
    const ALL: [Self; 4] = [Self::Malformed, Self::WindowExceeded, Self::UnexpectedFrame, Self::TooSlow];

    fn code(self) -> u8 {
        match self {
            Self::Malformed => 1,
            Self::WindowExceeded => 2,
            Self::UnexpectedFrame => 3,
            Self::TooSlow => 4,
        }
    }

    fn parse(code: u8) -> Result<Self, Error> {
        let known = Self::ALL.into_iter().find(|reason| reason.code() == code);
        known.ok_or(Error::UnknownCloseReason { found: code })
    }
}

/// A header whose length is already known to fit its kind.
#[derive(Debug, Clone, Copy)]
struct Header {
    kind: Kind,
    body_bytes: usize,
}

impl Header {
    fn parse(bytes: [u8; HEADER_BYTES]) -> Result<Self, Error> {
        let [magic_0, magic_1, version, kind, length @ ..] = bytes;
        if [magic_0, magic_1] != MAGIC {
            return Err(Error::BadMagic { found: [magic_0, magic_1] });
        }
        if version != VERSION {
            return Err(Error::UnsupportedVersion { found: version });
        }
        let known = Kind::ALL.into_iter().find(|known| known.code() == kind);
        let kind = known.ok_or(Error::UnknownFrameKind { found: kind })?;
        let found = u32::from_be_bytes(length);
        let (min, max) = kind.body_bytes();
        match usize::try_from(found) {
            Ok(body_bytes) if (min..=max).contains(&body_bytes) => Ok(Self { kind, body_bytes }),
            _ => Err(Error::BodyLength { kind: kind.name(), found, min, max }),
        }
    }
}

impl Frame {
    /// Appends the frame's bytes to `out`; a batch over a limit is refused and `out` left as
    /// it was; a batch of no messages is no frame and adds nothing.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        match self {
            Self::Hello(hello) => put_frame(Kind::Hello, &hello.encode(), out),
            Self::Batch(messages) => {
                let mut batch = BatchEncoder::default();
                for message in messages {
                    batch.push(message)?;
                }
                out.extend_from_slice(batch.frame());
            }
            Self::Ping => put_frame(Kind::Ping, &[], out),
            Self::Pong => put_frame(Kind::Pong, &[], out),
            Self::Drain => put_frame(Kind::Drain, &[], out),
            Self::Close(reason) => put_frame(Kind::Close, &[reason.code()], out),
        }
        Ok(())
    }

    /// The frame's kind, for error texts.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Hello(_) => Kind::Hello,
            Self::Batch(_) => Kind::Batch,
            Self::Ping => Kind::Ping,
            Self::Pong => Kind::Pong,
            Self::Drain => Kind::Drain,
            Self::Close(_) => Kind::Close,
        }
        .name()
    }

    fn parse(kind: Kind, body: &[u8]) -> Result<Self, Error> {
        match kind {
            Kind::Hello => Ok(Self::Hello(Hello::parse(body)?)),
            Kind::Batch => Ok(Self::Batch(batch::parse(body)?)),
            Kind::Ping => Ok(Self::Ping),
            Kind::Pong => Ok(Self::Pong),
            Kind::Drain => Ok(Self::Drain),
            Kind::Close => {
                let (code, _end) = body.split_first().ok_or(Error::Truncated { kind: "close" })?;
                Ok(Self::Close(CloseReason::parse(*code)?))
            }
        }
    }
}

/// Only for the kinds whose body is a few bytes; a batch is built in place by [`BatchEncoder`].
fn put_frame<const N: usize>(kind: Kind, body: &[u8; N], out: &mut Vec<u8>) {
    put_header(kind, out);
    out.extend_from_slice(body);
    patch_length(out, N);
}

fn put_header(kind: Kind, out: &mut Vec<u8>) {
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[VERSION, kind.code(), 0, 0, 0, 0]);
}

/// Writes the length of the last frame's body, whose `body_bytes` are the end of `out`.
fn patch_length(out: &mut [u8], body_bytes: usize) {
    let length = u32::try_from(body_bytes).unwrap_or(u32::MAX);
    let header_end = out.len().saturating_sub(body_bytes);
    if let Some(field) = out.get_mut(..header_end).and_then(<[u8]>::last_chunk_mut::<4>) {
        *field = length.to_be_bytes();
    }
}

/// Takes a fixed field from the front of `input`.
fn take<const N: usize>(input: &mut &[u8]) -> Option<[u8; N]> {
    let (field, rest) = input.split_first_chunk::<N>()?;
    *input = rest;
    Some(*field)
}

#[cfg(test)]
mod tests;
