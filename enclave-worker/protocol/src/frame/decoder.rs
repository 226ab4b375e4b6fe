//! The incremental decoder: bytes in whatever pieces, whole frames out, never more memory than one frame.

use super::{BUFFER_RETAINED_BYTES, Error, Frame, HEADER_BYTES, Header};

/// Finds the frames in a byte stream.
///
/// The buffer grows only by bytes that arrived, after the header's length passed its limit. The first error is
/// final: a stream that once lost its frame bounds is never read again.
#[derive(Debug, Default)]
pub struct Decoder {
    header: Option<Header>,
    buffer: Vec<u8>,
    failed: Option<Error>,
}

impl Decoder {
    /// Consumes bytes from the front of `input` up to the end of the next frame. `None` means that all of `input`
    /// was consumed and the frame is not complete.
    pub fn feed(&mut self, input: &mut &[u8]) -> Result<Option<Frame>, Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let outcome = self.advance(input);
        if let Err(error) = &outcome {
            self.failed = Some(error.clone());
            self.buffer = Vec::new();
        }
        outcome
    }

    /// True within a frame, where the end of the stream is a cut.
    pub fn is_within_frame(&self) -> bool {
        self.header.is_some() || !self.buffer.is_empty()
    }

    fn advance(&mut self, input: &mut &[u8]) -> Result<Option<Frame>, Error> {
        let Some(header) = self.header(input)? else {
            return Ok(None);
        };
        self.fill(header.body_bytes, input);
        if self.buffer.len() < header.body_bytes {
            return Ok(None);
        }
        let frame = Frame::parse(header.kind, &self.buffer)?;
        self.header = None;
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_RETAINED_BYTES);
        Ok(Some(frame))
    }

    /// The header of the frame that is being read, if it has arrived.
    fn header(&mut self, input: &mut &[u8]) -> Result<Option<Header>, Error> {
        if self.header.is_none() {
            self.fill(HEADER_BYTES, input);
            if let Some(bytes) = self.buffer.first_chunk::<HEADER_BYTES>() {
                self.header = Some(Header::parse(*bytes)?);
                self.buffer.clear();
            }
        }
        Ok(self.header)
    }

    /// Moves bytes from `input` until the buffer holds `target` bytes or `input` is empty.
    fn fill(&mut self, target: usize, input: &mut &[u8]) {
        let missing = target.saturating_sub(self.buffer.len());
        let (taken, rest) = input.split_at(missing.min(input.len()));
        self.buffer.extend_from_slice(taken);
        *input = rest;
    }

    /// Memory held, for the test that no input makes it grow.
    #[cfg(test)]
    pub(super) fn buffer_capacity(&self) -> usize {
        self.buffer.capacity()
    }
}
