//! What is done with the event log beside appending and reading it: archives that are read without a database, their
//! verification, the life of partitions, receipts derived from the log alone, and a log restored from its archives.

pub mod archive;
pub mod command;
pub mod partitions;
pub mod receipts;
pub mod restore;
pub mod source;

/// Bytes as lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // a String takes whatever is written
        text
    })
}
