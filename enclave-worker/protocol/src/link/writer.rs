//! The writing half: whatever messages wait go out together, in batches, in pieces a vsock can carry.

use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::timeout;

use super::Error;
use crate::frame::{BatchEncoder, Frame, Message};
use crate::limits::{MESSAGES_PER_FRAME_MAX, WRITE_BYTES_MAX};

/// A message that waits to be written, with the memory it was granted, given back when it is written.
#[derive(Debug)]
pub(crate) struct Queued {
    message: Message,
    _memory: Option<OwnedSemaphorePermit>,
}

impl Queued {
    pub(crate) fn new(message: Message, memory: Option<OwnedSemaphorePermit>) -> Self {
        Self { message, _memory: memory }
    }
}

/// What a writer takes from.
#[derive(Debug)]
pub(crate) struct Outbox {
    pub(crate) messages: mpsc::Receiver<Queued>,
    pub(crate) controls: mpsc::Receiver<Frame>,
}

/// Writes until the stream fails, both queues are closed, or a close frame was written. Each message is first
/// offered to `admit`; one that is not admitted is dropped unwritten.
pub(crate) async fn write_frames<W>(
    sink: W,
    outbox: Outbox,
    write_timeout: Duration,
    mut admit: impl FnMut(u64) -> bool,
) -> Result<(), Error>
where
    W: AsyncWrite + Unpin,
{
    let Outbox { mut messages, mut controls } = outbox;
    let mut writer = FrameWriter { sink, write_timeout, batch: BatchEncoder::default() };
    let mut taken = Vec::with_capacity(MESSAGES_PER_FRAME_MAX);
    loop {
        tokio::select! {
            biased;
            Some(control) = controls.recv() => {
                writer.write_control(&control).await?;
                if matches!(control, Frame::Close(_)) {
                    return Ok(());
                }
            }
            count = messages.recv_many(&mut taken, MESSAGES_PER_FRAME_MAX) => {
                if count == 0 {
                    return Ok(());
                }
                for queued in &taken {
                    if admit(queued.message.request_id) {
                        writer.add(&queued.message).await?;
                    }
                }
                writer.flush_batch().await?;
                taken.clear();
            }
        }
    }
}

struct FrameWriter<W> {
    sink: W,
    write_timeout: Duration,
    batch: BatchEncoder,
}

impl<W: AsyncWrite + Unpin> FrameWriter<W> {
    async fn add(&mut self, message: &Message) -> Result<(), Error> {
        if !self.batch.has_room_for(message) {
            self.flush_batch().await?;
        }
        Ok(self.batch.push(message)?)
    }

    async fn flush_batch(&mut self) -> Result<(), Error> {
        if self.batch.is_empty() {
            return Ok(());
        }
        write_within(&mut self.sink, self.batch.frame(), self.write_timeout).await?;
        self.batch.clear();
        Ok(())
    }

    async fn write_control(&mut self, frame: &Frame) -> Result<(), Error> {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes)?;
        write_within(&mut self.sink, &bytes, self.write_timeout).await
    }
}

async fn write_within<W: AsyncWrite + Unpin>(
    sink: &mut W,
    frame: &[u8],
    waited: Duration,
) -> Result<(), Error> {
    let pieces = async {
        for piece in frame.chunks(WRITE_BYTES_MAX) {
            sink.write_all(piece).await?;
        }
        sink.flush().await
    };
    match timeout(waited, pieces).await {
        Ok(outcome) => Ok(outcome?),
        Err(_elapsed) => Err(Error::WriteTooSlow { waited }),
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use bytes::Bytes;

    use super::*;
    use crate::frame::{Body, CloseReason, Decoder};
    use crate::limits::RESPONSE_BYTES_MAX;

    /// Remembers the size of each write.
    #[derive(Default)]
    struct Recorder {
        bytes: Vec<u8>,
        writes: Vec<usize>,
    }

    impl AsyncWrite for &mut Recorder {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.bytes.extend_from_slice(bytes);
            self.writes.push(bytes.len());
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn queued(request_id: u64, body: Body) -> Queued {
        Queued::new(Message { request_id, body }, None)
    }

    fn outbox(messages: Vec<Queued>) -> Outbox {
        let (queue, receiver) = mpsc::channel(messages.len().max(1));
        for message in messages {
            queue.try_send(message).unwrap();
        }
        Outbox { messages: receiver, controls: mpsc::channel(1).1 }
    }

    fn batches(mut bytes: &[u8]) -> Vec<Vec<u64>> {
        let mut decoder = Decoder::default();
        let mut sizes = Vec::new();
        while let Some(frame) = decoder.feed(&mut bytes).unwrap() {
            let Frame::Batch(messages) = frame else { panic!("{frame:?}") };
            sizes.push(messages.iter().map(|message| message.request_id).collect());
        }
        sizes
    }

    #[tokio::test]
    async fn small_messages_share_a_frame_and_a_write() {
        let waiting = (0..100).map(|id| queued(id, Body::Request(Bytes::from_static(b"small")))).collect();
        let mut recorder = Recorder::default();
        write_frames(&mut recorder, outbox(waiting), Duration::from_secs(1), |id| id != 3).await.unwrap();
        let expected: Vec<Vec<u64>> = vec![(0..64).filter(|id| *id != 3).collect(), (64..100).collect()];
        assert_eq!(batches(&recorder.bytes), expected);
        assert_eq!(recorder.writes.len(), 2);
    }

    #[tokio::test]
    async fn large_messages_are_split_over_frames_and_small_writes() {
        let large = |id| queued(id, Body::Request(Bytes::from(vec![0; RESPONSE_BYTES_MAX / 4])));
        let mut waiting: Vec<Queued> = (0..5).map(large).collect();
        waiting.push(queued(9, Body::Response(Bytes::from(vec![0; RESPONSE_BYTES_MAX]))));
        let mut recorder = Recorder::default();
        write_frames(&mut recorder, outbox(waiting), Duration::from_secs(1), |_| true).await.unwrap();
        assert_eq!(batches(&recorder.bytes), [vec![0, 1, 2], vec![3, 4], vec![9]]);
        assert!(recorder.writes.iter().all(|bytes| *bytes < 32 * 1024));
    }

    #[tokio::test]
    async fn nothing_follows_a_close() {
        let (_queue, messages) = mpsc::channel(1);
        let (controls, control_frames) = mpsc::channel(4);
        for frame in [Frame::Ping, Frame::Close(CloseReason::Malformed), Frame::Ping] {
            controls.try_send(frame).unwrap();
        }
        let mut recorder = Recorder::default();
        let outbox = Outbox { messages, controls: control_frames };
        write_frames(&mut recorder, outbox, Duration::from_secs(1), |_| true).await.unwrap();
        assert_eq!(recorder.bytes, b"NE\x01\x03\0\0\0\0NE\x01\x06\0\0\0\x01\x01");
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_does_not_read_is_given_up() {
        let (ours, _peer) = tokio::io::duplex(16);
        let waiting = vec![queued(1, Body::Request(Bytes::from(vec![0; 1000])))];
        let outcome = write_frames(ours, outbox(waiting), Duration::from_secs(10), |_| true).await;
        assert!(matches!(outcome, Err(Error::WriteTooSlow { .. })), "{outcome:?}");
    }
}
