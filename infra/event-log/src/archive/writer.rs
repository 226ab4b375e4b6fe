//! Writes an archive, page by page.

use std::io::Write;

use nsl_event_store::EventPage;
use sha2::{Digest as _, Sha256};
use zstd::bulk::Compressor;

use super::footer::{Entry, Footer, header};
use super::{Error, LogId, MAX_FOOTER_BYTES, Summary, block, limit};

/// Ratio 6 on events of ours, at ten times the speed of the next ratio worth having.
const COMPRESSION_LEVEL: i32 = 3;

/// An archive that is being written.
pub struct ArchiveWriter<W> {
    out: W,
    file_sha256: Sha256,
    compressor: Compressor<'static>,
    footer: Footer,
}

impl<W: Write> ArchiveWriter<W> {
    /// Begins an archive of a log whose first event has this position.
    pub fn new(out: W, log: LogId, first_position: u64) -> Result<Self, Error> {
        let compressor = Compressor::new(COMPRESSION_LEVEL).map_err(written)?;
        let footer = Footer::new(log, first_position);
        let mut writer = Self { out, file_sha256: Sha256::new(), compressor, footer };
        writer.write(&header())?;
        Ok(writer)
    }

    /// Adds the next events, read with their commands.
    pub fn append(&mut self, page: &EventPage) -> Result<(), Error> {
        for (expected, event) in (self.footer.end_position()..).zip(page.iter()) {
            if event.position != expected {
                return Err(Error::Gap { expected, found: event.position });
            }
            if !event.is_intact() {
                return Err(Error::Altered { position: event.position });
            }
            self.footer.commands += u64::from(event.command.is_some());
        }
        if page.is_empty() {
            return Ok(());
        }
        let compressed = self.compressor.compress(&block::encode(page)?).map_err(written)?;
        let entry = Entry {
            offset: self.footer.end_offset(),
            bytes: compressed.len(),
            first_position: self.footer.end_position(),
            events: page.len(),
            sha256: Sha256::digest(&compressed).into(),
        };
        self.write(&compressed)?;
        self.footer.entries.push(entry);
        Ok(())
    }

    /// Ends the archive and answers what it holds and the SHA-256 of the whole file.
    pub fn finish(mut self) -> Result<(W, Summary, [u8; 32]), Error> {
        let footer = self.footer.encode()?;
        limit("bytes of the footer", footer.len(), MAX_FOOTER_BYTES)?;
        self.write(&footer)?;
        self.out.flush().map_err(written)?;
        Ok((self.out, self.footer.summary(), self.file_sha256.finalize().into()))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file_sha256.update(bytes);
        self.out.write_all(bytes).map_err(written)
    }
}

fn written(source: std::io::Error) -> Error {
    Error::File { operation: "written", source }
}
