//! Frames over one stream: reading with patience that ends, writing in small pieces with a deadline.
//! Both sides of a connection are built from these two halves.

mod reader;
mod writer;

use std::io;
use std::time::Duration;

use thiserror::Error;

pub(crate) use reader::{FrameReader, Patience};
pub(crate) use writer::{Outbox, Queued, write_frames};

use crate::frame::{self, CloseReason};

/// Control frames that may wait to be written. One ping, pong, drain and close each would do; when it is full, the
/// ones that wait already say what one more would.
pub(crate) const CONTROL_QUEUE: usize = 8;

/// Why a connection ended.
#[derive(Debug, Error)]
pub enum Error {
    /// The stream failed.
    #[error("the stream failed")]
    Io(#[from] io::Error),
    /// The peer's bytes are no frames of this protocol.
    #[error("the peer broke the protocol")]
    Frame(#[from] frame::Error),
    /// The peer closed the stream between two frames.
    #[error("the peer closed the connection")]
    Ended,
    /// The peer closed the stream within a frame.
    #[error("the peer closed the connection within a frame")]
    Cut,
    /// Nothing arrived for too long.
    #[error("no sign of life for {} ms", .waited.as_millis())]
    Silent {
        /// How long was waited.
        waited: Duration,
    },
    /// A frame began and did not end in time.
    #[error("a frame did not arrive within {} ms", .waited.as_millis())]
    FrameTooSlow {
        /// How long was waited.
        waited: Duration,
    },
    /// The peer did not take a frame in time.
    #[error("the peer did not take a frame within {} ms", .waited.as_millis())]
    WriteTooSlow {
        /// How long was waited.
        waited: Duration,
    },
    /// The server closed with a reason.
    #[error("the server closed the connection: {reason:?}")]
    Closed {
        /// The server's reason.
        reason: CloseReason,
    },
    /// A frame or message that is not this peer's to send, or not now.
    #[error("unexpected {kind} from the peer")]
    Unexpected {
        /// What was sent.
        kind: &'static str,
    },
    /// An answer to a question that was not asked.
    #[error("answer to unknown request {request_id}")]
    UnknownRequest {
        /// The id of the answer.
        request_id: u64,
    },
    /// The client has more unanswered requests than its window.
    #[error("more than {window} unanswered requests")]
    WindowExceeded {
        /// The window of the hello.
        window: u16,
    },
    /// Every credit is held by a call whose caller gave up: the server has stopped answering.
    #[error("none of {window} requests was answered in its time")]
    Stalled {
        /// The window of the hello.
        window: u16,
    },
    /// The server finished its work here and asked us to leave.
    #[error("the server is shutting down")]
    Drained,
}

impl Error {
    /// What a server tells a client that caused this; `None` if the stream is no longer fit for words.
    pub(crate) fn close_reason(&self) -> Option<CloseReason> {
        match self {
            Self::Frame(_) => Some(CloseReason::Malformed),
            Self::WindowExceeded { .. } => Some(CloseReason::WindowExceeded),
            Self::Unexpected { .. } => Some(CloseReason::UnexpectedFrame),
            Self::Silent { .. } | Self::FrameTooSlow { .. } => Some(CloseReason::TooSlow),
            _ => None,
        }
    }
}
