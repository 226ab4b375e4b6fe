//! The archive file: a stretch of the log that is read without a database, block by block in any order. Its bytes are
//! specified in infra/docs/archive-format.md; every byte is covered by a hash.

mod block;
mod footer;
mod reader;
mod writer;

pub use footer::{LogId, Summary};
pub use reader::{Archive, ReadAt};
pub use writer::ArchiveWriter;

use nsl_event_store::{REPLAY_PAGE_BYTES, REPLAY_PAGE_EVENTS};

/// What a file begins with.
const MAGIC: &[u8; 16] = b"nsl-log-archive\n";
/// What a file ends with.
const END_MAGIC: &[u8; 16] = b"nsl-archive-end\n";
/// The version of the format. Version 1, of before any release, did not name its log.
const VERSION: u32 = 2;
/// Magic and version.
const HEADER_BYTES: usize = 20;
/// The footer's length, the hash of header, footer and length, and the end magic.
const TRAILER_BYTES: usize = 4 + 32 + 16;

/// Events of one block: as many as a replay's page has.
pub const MAX_BLOCK_EVENTS: usize = REPLAY_PAGE_EVENTS;
/// Bytes of one block before compression: a full page, an event of full size beyond it, and the fixed fields.
pub const MAX_BLOCK_BYTES: usize = REPLAY_PAGE_BYTES + 2 * 1024 * 1024;
/// Bytes of one compressed block: what does not compress grows by less than this.
pub const MAX_COMPRESSED_BYTES: usize = MAX_BLOCK_BYTES + 64 * 1024;
/// Bytes of a footer: a partition of a million events, each so large that three fill a block, has half of that.
pub const MAX_FOOTER_BYTES: usize = 32 * 1024 * 1024;

/// Why an archive cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read or written.
    #[error("archive file cannot be {operation}")]
    File {
        /// What was tried.
        operation: &'static str,
        /// What went wrong.
        #[source]
        source: std::io::Error,
    },
    /// It is no archive, or it was cut off.
    #[error("this is no whole archive: {what}")]
    NotAnArchive {
        /// What is wrong.
        what: &'static str,
    },
    /// It was written by a later version.
    #[error("archive has format version {found}, this build reads {VERSION}")]
    Version {
        /// The file's version.
        found: u32,
    },
    /// Header or footer are not the ones that were written.
    #[error("archive's header or footer was changed")]
    Footer,
    /// A block's bytes are not the ones that were written.
    #[error("block {block} of the archive was changed")]
    Block {
        /// The block's number from 0.
        block: usize,
    },
    /// A block has its hash and yet is not a block: its writer was at fault.
    #[error("block {block} of the archive is malformed: {what}")]
    Malformed {
        /// The block's number from 0.
        block: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// Something is larger than the format allows.
    #[error("{what} of {found} is above {allowed}")]
    Limit {
        /// What is too large.
        what: &'static str,
        /// How large it is.
        found: usize,
        /// How large it may be.
        allowed: usize,
    },
    /// The pages to be written do not continue each other.
    #[error("position {found} follows where {expected} belongs")]
    Gap {
        /// The position that belongs there.
        expected: u64,
        /// The one that came.
        found: u64,
    },
    /// An event does not have the hash that it was appended with.
    #[error("event at position {position} is not what was appended")]
    Altered {
        /// The event's position.
        position: u64,
    },
}

fn limit(what: &'static str, found: usize, allowed: usize) -> Result<(), Error> {
    if found <= allowed { Ok(()) } else { Err(Error::Limit { what, found, allowed }) }
}

#[cfg(test)]
mod tests;
