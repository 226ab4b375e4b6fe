//! The reading half: whole frames, each within its time.

use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::{Instant, timeout_at};

use super::Error;
use crate::frame::{Decoder, Frame};

/// Bytes taken from the stream at once: what the peer writes at once.
const READ_BYTES: usize = 32 * 1024;

/// How long a reader waits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// For the first byte of a frame.
    pub(crate) silence: Duration,
    /// From the first byte of a frame to its last, so that a peer that drips bytes cannot hold a connection.
    pub(crate) frame: Duration,
}

/// Reads frames from `source`.
#[derive(Debug)]
pub(crate) struct FrameReader<R> {
    source: R,
    decoder: Decoder,
    inbox: BytesMut,
    patience: Patience,
    frame_began: Option<Instant>,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(crate) fn new(source: R, patience: Patience) -> Self {
        let inbox = BytesMut::with_capacity(READ_BYTES);
        Self { source, decoder: Decoder::default(), inbox, patience, frame_began: None }
    }

    /// The client learns the server's ping interval only from its hello.
    pub(crate) fn set_silence(&mut self, silence: Duration) {
        self.patience.silence = silence;
    }

    /// Waits for the next frame. Only time spent in this call counts against the peer: a server that does not
    /// read because its memory budget is spent must not blame the client.
    pub(crate) async fn next(&mut self) -> Result<Frame, Error> {
        loop {
            let mut input = &self.inbox[..];
            let before = input.len();
            let frame = self.decoder.feed(&mut input)?;
            let consumed = before - input.len();
            self.inbox.advance(consumed);
            if let Some(frame) = frame {
                self.frame_began = None;
                return Ok(frame);
            }
            self.fill().await?;
        }
    }

    /// Called with an empty inbox only, which therefore never grows beyond one read.
    async fn fill(&mut self) -> Result<(), Error> {
        let now = Instant::now();
        let (deadline, late) = if self.decoder.is_within_frame() {
            let waited = self.patience.frame;
            (*self.frame_began.get_or_insert(now) + waited, Error::FrameTooSlow { waited })
        } else {
            let waited = self.patience.silence;
            (now + waited, Error::Silent { waited })
        };
        self.inbox.clear();
        self.inbox.reserve(READ_BYTES);
        match timeout_at(deadline, self.source.read_buf(&mut self.inbox)).await {
            Ok(Ok(0)) if self.decoder.is_within_frame() => Err(Error::Cut),
            Ok(Ok(0)) => Err(Error::Ended),
            Ok(Ok(_arrived)) => Ok(()),
            Ok(Err(error)) => Err(Error::Io(error)),
            Err(_elapsed) => Err(late),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    const PATIENCE: Patience = Patience { silence: Duration::from_secs(30), frame: Duration::from_secs(10) };

    #[tokio::test(start_paused = true)]
    async fn a_dripped_frame_ends_with_its_deadline_and_not_with_its_last_drip() {
        let (mut peer, ours) = tokio::io::duplex(64);
        let mut reader = FrameReader::new(ours, PATIENCE);
        let mut bytes = Vec::new();
        Frame::Ping.encode(&mut bytes).unwrap();
        let dripping = async {
            for byte in bytes {
                peer.write_u8(byte).await.unwrap();
                tokio::time::sleep(Duration::from_secs(2)).await;
            }
        };
        let (outcome, ()) = tokio::join!(reader.next(), dripping);
        assert!(matches!(outcome, Err(Error::FrameTooSlow { .. })), "{outcome:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_a_connection() {
        let (_peer, ours) = tokio::io::duplex(64);
        let outcome = FrameReader::new(ours, PATIENCE).next().await;
        assert!(matches!(outcome, Err(Error::Silent { waited }) if waited == PATIENCE.silence));
    }

    #[tokio::test]
    async fn the_end_of_the_stream_is_a_cut_only_within_a_frame() {
        for (bytes, is_cut) in [(b"".as_slice(), false), (b"N", true), (b"NE\x01\x06\0\0\0\x01", true)] {
            let outcome = FrameReader::new(bytes, PATIENCE).next().await;
            assert_eq!(matches!(outcome, Err(Error::Cut)), is_cut, "{outcome:?}");
            assert_eq!(matches!(outcome, Err(Error::Ended)), !is_cut, "{outcome:?}");
        }
    }
}
