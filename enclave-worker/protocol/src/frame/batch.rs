//! Batches: many small messages in one frame, so that they cost one system call together.

use super::{BUFFER_RETAINED_BYTES, Error, HEADER_BYTES, Kind, Message, patch_length, put_header};
use crate::limits::{BATCH_BODY_BYTES_MAX, MESSAGES_PER_FRAME_MAX};

/// Builds one batch frame after another in the same buffer.
#[derive(Debug, Default)]
pub struct BatchEncoder {
    buffer: Vec<u8>,
    messages: usize,
}

impl BatchEncoder {
    /// True if nothing was pushed since the last [`clear`](Self::clear).
    pub fn is_empty(&self) -> bool {
        self.messages == 0
    }

    /// True if `message` can join the frame without passing a frame's limits.
    pub fn has_room_for(&self, message: &Message) -> bool {
        let body_bytes = self.buffer.len().saturating_sub(HEADER_BYTES);
        self.messages < MESSAGES_PER_FRAME_MAX
            && body_bytes.saturating_add(message.encoded_bytes()) <= BATCH_BODY_BYTES_MAX
    }

    /// Adds a message, or refuses it by name and leaves the frame as it was.
    pub fn push(&mut self, message: &Message) -> Result<(), Error> {
        if self.messages == MESSAGES_PER_FRAME_MAX {
            return Err(Error::TooManyMessages);
        }
        if self.buffer.is_empty() {
            put_header(Kind::Batch, &mut self.buffer);
        }
        let before = self.buffer.len();
        message.encode(&mut self.buffer)?;
        let body_bytes = self.buffer.len().saturating_sub(HEADER_BYTES);
        if body_bytes > BATCH_BODY_BYTES_MAX {
            self.buffer.truncate(before);
            let kind = "batch body";
            return Err(Error::MessageTooLarge { kind, found: body_bytes, max: BATCH_BODY_BYTES_MAX });
        }
        self.messages += 1;
        Ok(())
    }

    /// The frame's bytes; empty if nothing was pushed.
    pub fn frame(&mut self) -> &[u8] {
        if self.is_empty() {
            return &[];
        }
        let body_bytes = self.buffer.len().saturating_sub(HEADER_BYTES);
        patch_length(&mut self.buffer, body_bytes);
        &self.buffer
    }

    /// Forgets the frame and keeps a modest buffer for the next.
    pub fn clear(&mut self) {
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_RETAINED_BYTES);
        self.messages = 0;
    }
}

/// Reads the body of a batch frame.
pub(super) fn parse(mut body: &[u8]) -> Result<Vec<Message>, Error> {
    let mut messages = Vec::new();
    while !body.is_empty() {
        if messages.len() == MESSAGES_PER_FRAME_MAX {
            return Err(Error::TooManyMessages);
        }
        messages.push(Message::parse(&mut body)?);
    }
    Ok(messages)
}
