//! Publishing at an exact stream sequence: exactly once for ever, because the server refuses any other position.

use std::collections::VecDeque;

use async_nats::HeaderMap;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{PublishAckFuture, PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use bytes::Bytes;

use crate::Bus;

/// How many messages of a run are under way at once. Far more than a round trip needs on a fast network, and small
/// against the permits of a process, which several runs share.
const RUN_WINDOW: usize = 256;

/// A message of a run.
#[derive(Debug, Clone)]
pub struct SequencedMessage {
    /// Where it is published.
    pub subject: String,
    /// Its headers, without `Nats-Expected-*`.
    pub headers: HeaderMap,
    /// Its bytes.
    pub payload: Bytes,
}

/// Where the stream stands after a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Every message is stored at its sequence, by this call.
    Published,
    /// The stream has already passed the last sequence of the run: somebody, perhaps an earlier call of ours whose
    /// answer was lost, published it.
    AlreadyThere,
    /// The stream ends before the run does: publish again from `last` + 1.
    Gap {
        /// The last sequence of the stream.
        last: u64,
    },
}

/// A run whose outcome is unknown or impossible; repeating it is safe.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Sequences begin at 1.
    #[error("cannot publish to stream {stream} at sequence 0: sequences begin at 1")]
    SequenceZero {
        /// The stream.
        stream: String,
    },
    /// The server did not take a message for another reason than its sequence, or did not answer.
    #[error("cannot publish to stream {stream} at sequence {sequence}")]
    Publish {
        /// The stream.
        stream: String,
        /// The sequence of the message.
        sequence: u64,
        /// Why.
        #[source]
        source: PublishError,
    },
    /// The end of the stream cannot be read.
    #[error("cannot read the last sequence of stream {stream}")]
    LastSequence {
        /// The stream.
        stream: String,
        /// Why.
        #[source]
        source: async_nats::jetstream::context::GetStreamError,
    },
}

impl Bus {
    /// Publishes one message so that it gets exactly `sequence`, or says where the stream stands.
    pub async fn publish_at_sequence(
        &self,
        stream: &str,
        message: SequencedMessage,
        sequence: u64,
    ) -> Result<Outcome, Error> {
        self.publish_run_at_sequence(stream, vec![message], sequence).await
    }

    /// Publishes messages at `first`, `first` + 1, … without waiting for each acknowledgement. A message whose
    /// predecessor was not stored is refused by the server, so a run is never stored with a hole.
    pub async fn publish_run_at_sequence(
        &self,
        stream: &str,
        messages: Vec<SequencedMessage>,
        first: u64,
    ) -> Result<Outcome, Error> {
        if first == 0 {
            return Err(Error::SequenceZero { stream: stream.to_owned() });
        }
        let mut refused = false;
        let mut sequence = first;
        let mut underway = VecDeque::with_capacity(RUN_WINDOW.min(messages.len()));
        for message in messages {
            if underway.len() == RUN_WINDOW {
                refused |= settle_oldest(stream, &mut underway).await?;
            }
            let publish = PublishMessage::build()
                .headers(message.headers)
                .payload(message.payload)
                .expected_stream(stream)
                .expected_last_sequence(sequence - 1);
            let ack = self.jetstream().send_publish(message.subject, publish).await;
            let ack = ack.map_err(|source| Error::Publish { stream: stream.to_owned(), sequence, source })?;
            underway.push_back((sequence, ack));
            sequence += 1;
        }
        while !underway.is_empty() {
            refused |= settle_oldest(stream, &mut underway).await?;
        }
        if !refused {
            return Ok(Outcome::Published);
        }
        let last = self.last_sequence(stream).await?;
        Ok(if last >= sequence - 1 { Outcome::AlreadyThere } else { Outcome::Gap { last } })
    }

    /// The sequence of the newest message that the stream ever had; where it has none, the one before its first.
    pub async fn last_sequence(&self, stream: &str) -> Result<u64, Error> {
        let found = self
            .jetstream()
            .get_stream(stream)
            .await
            .map_err(|source| Error::LastSequence { stream: stream.to_owned(), source })?;
        Ok(found.cached_info().state.last_sequence)
    }
}

/// Waits for the oldest acknowledgement; true if the server refused it for its sequence.
async fn settle_oldest(
    stream: &str,
    underway: &mut VecDeque<(u64, PublishAckFuture)>,
) -> Result<bool, Error> {
    let Some((sequence, ack)) = underway.pop_front() else { return Ok(false) };
    match ack.await {
        Ok(_) => Ok(false),
        Err(error) if is_wrong_sequence(&error) => Ok(true),
        Err(source) => Err(Error::Publish { stream: stream.to_owned(), sequence, source }),
    }
}

fn is_wrong_sequence(error: &PublishError) -> bool {
    use std::error::Error as _;

    // A clustered server answers with a code of its own when the position is still being agreed on.
    let code = error.source().and_then(|source| source.downcast_ref::<async_nats::jetstream::Error>());
    error.kind() == PublishErrorKind::WrongLastSequence
        || code.is_some_and(|error| error.error_code() == ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT)
}
