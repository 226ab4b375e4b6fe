//! What an archive says of itself at its end: its stretch of the log and each block's length, count and hash.

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{
    END_MAGIC, Error, HEADER_BYTES, MAGIC, MAX_BLOCK_EVENTS, MAX_COMPRESSED_BYTES, TRAILER_BYTES, VERSION,
};

/// The log, first position, events, commands, blocks.
const HEAD_BYTES: usize = 32 + 8 + 8 + 8 + 4;
/// Compressed bytes, events, hash.
const ENTRY_BYTES: usize = 4 + 4 + 32;

/// Names a log: the content hash of its first event, which covers the genesis manifest. Archives of two logs are told apart
/// by it wherever they begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogId(pub [u8; 32]);

/// What an archive holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The position of its first event.
    pub first_position: u64,
    /// The position of its last event.
    pub last_position: u64,
    /// How many events it has: one a position.
    pub events: u64,
    /// How many commands these were decided by.
    pub commands: u64,
}

/// A block's place in its file, and what it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) offset: u64,
    pub(super) bytes: usize,
    pub(super) first_position: u64,
    pub(super) events: usize,
    pub(super) sha256: [u8; 32],
}

/// The end of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Footer {
    pub(super) log: LogId,
    pub(super) first_position: u64,
    pub(super) commands: u64,
    pub(super) entries: Vec<Entry>,
}

/// The file's beginning.
pub(super) fn header() -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    let (magic, version) = header.split_at_mut(MAGIC.len());
    magic.copy_from_slice(MAGIC);
    version.copy_from_slice(&VERSION.to_be_bytes());
    header
}

/// What ties header and footer together.
pub(super) fn digest(header: &[u8], footer: &[u8], length: [u8; 4]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(header);
    hasher.update(footer);
    hasher.update(length);
    hasher.finalize().into()
}

impl Footer {
    pub(super) fn new(log: LogId, first_position: u64) -> Self {
        Self { log, first_position, commands: 0, entries: Vec::new() }
    }

    /// Where the next block begins in the file.
    pub(super) fn end_offset(&self) -> u64 {
        self.entries.last().map_or(HEADER_BYTES as u64, |last| last.offset + last.bytes as u64)
    }

    /// The position after the last.
    pub(super) fn end_position(&self) -> u64 {
        self.entries.last().map_or(self.first_position, |last| last.first_position + last.events as u64)
    }

    pub(super) fn summary(&self) -> Summary {
        let end_position = self.end_position();
        Summary {
            first_position: self.first_position,
            last_position: end_position.saturating_sub(1),
            events: end_position - self.first_position,
            commands: self.commands,
        }
    }

    /// Footer and trailer as they stand in the file.
    pub(super) fn encode(&self) -> Result<Vec<u8>, Error> {
        let too_long = |what, found| Error::Limit { what, found, allowed: u32::MAX as usize };
        let number = |what, found: usize| u32::try_from(found).map_err(|_| too_long(what, found));
        let mut out = Vec::with_capacity(HEAD_BYTES + self.entries.len() * ENTRY_BYTES + TRAILER_BYTES);
        out.extend_from_slice(&self.log.0);
        out.extend_from_slice(&self.first_position.to_be_bytes());
        out.extend_from_slice(&self.summary().events.to_be_bytes());
        out.extend_from_slice(&self.commands.to_be_bytes());
        out.extend_from_slice(&number("blocks", self.entries.len())?.to_be_bytes());
        for entry in &self.entries {
            out.extend_from_slice(&number("bytes of a block", entry.bytes)?.to_be_bytes());
            out.extend_from_slice(&number("events in a block", entry.events)?.to_be_bytes());
            out.extend_from_slice(&entry.sha256);
        }
        let length = number("bytes of the footer", out.len())?.to_be_bytes();
        let digest = digest(&header(), &out, length);
        out.extend_from_slice(&length);
        out.extend_from_slice(&digest);
        out.extend_from_slice(END_MAGIC);
        Ok(out)
    }

    /// Reads a footer whose bytes are the written ones; what it says of the file must hold for a file of this length.
    pub(super) fn decode(bytes: &[u8], blocks_end: u64) -> Result<Self, Error> {
        let malformed = |what| Error::NotAnArchive { what };
        let (head, mut rest) =
            bytes.split_at_checked(HEAD_BYTES).ok_or(malformed("its footer is too short"))?;
        let (log, head) = head.split_first_chunk().ok_or(malformed("its footer is too short"))?;
        let (numbers, count) = head.split_at(24);
        let mut numbers = numbers.as_chunks::<8>().0.iter().map(|number| u64::from_be_bytes(*number));
        let mut next = || numbers.next().unwrap_or(0); // three of them, by the split above
        let (first_position, events, commands) = (next(), next(), next());
        let count = count.iter().fold(0_usize, |count, byte| count << 8 | usize::from(*byte));
        if first_position == 0 || count.checked_mul(ENTRY_BYTES) != Some(rest.len()) {
            return Err(malformed("its footer does not have the blocks that it says"));
        }
        let mut footer =
            Self { log: LogId(*log), first_position, commands, entries: Vec::with_capacity(count) };
        while let Some((entry, after)) = rest.split_first_chunk::<ENTRY_BYTES>() {
            let entry = footer.entry(entry).ok_or(malformed("a block is larger than any may be"))?;
            footer.entries.push(entry);
            rest = after;
        }
        let whole = footer.end_offset() == blocks_end && footer.summary().events == events;
        if whole { Ok(footer) } else { Err(malformed("its blocks do not fill it")) }
    }

    /// The next block's entry.
    fn entry(&self, bytes: &[u8; ENTRY_BYTES]) -> Option<Entry> {
        let (lengths, sha256) = bytes.split_first_chunk::<8>()?;
        let (bytes, events) = lengths.split_first_chunk::<4>()?;
        let bytes = usize::try_from(u32::from_be_bytes(*bytes)).ok()?;
        let events = usize::try_from(u32::from_be_bytes(events.try_into().ok()?)).ok()?;
        let fits = (1..=MAX_COMPRESSED_BYTES).contains(&bytes) && (1..=MAX_BLOCK_EVENTS).contains(&events);
        let first_position = self.end_position();
        // The sum must stay a position too.
        first_position.checked_add(events as u64)?;
        fits.then_some(Entry {
            offset: self.end_offset(),
            bytes,
            first_position,
            events,
            sha256: sha256.try_into().ok()?,
        })
    }
}
