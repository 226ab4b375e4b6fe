//! Reads archives, which may be anybody's bytes: hashes are checked before anything is decompressed, lengths before
//! anything is allocated.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use nsl_event_store::EventPage;
use sha2::{Digest as _, Sha256};
use zstd::bulk::Decompressor;

use super::footer::{Entry, Footer, digest};
use super::{
    END_MAGIC, Error, HEADER_BYTES, LogId, MAGIC, MAX_BLOCK_BYTES, MAX_FOOTER_BYTES, Summary, TRAILER_BYTES,
    VERSION, block, limit,
};

/// Bytes that are read at any offset, by several threads at once.
pub trait ReadAt: Sync {
    /// How many there are.
    fn len(&self) -> io::Result<u64>;
    /// Fills the buffer from an offset.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
    /// Whether there are none.
    fn is_empty(&self) -> io::Result<bool> {
        self.len().map(|len| len == 0)
    }
}

impl ReadAt for File {
    fn len(&self) -> io::Result<u64> {
        self.metadata().map(|metadata| metadata.len())
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(self, buffer, offset)
    }
}

impl ReadAt for Vec<u8> {
    fn len(&self) -> io::Result<u64> {
        Ok(self.as_slice().len() as u64)
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let bytes = self.get(start..).and_then(|rest| rest.get(..buffer.len()));
        buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// An archive whose header and footer are the written ones.
#[derive(Debug)]
pub struct Archive<R = File> {
    source: R,
    footer: Footer,
}

impl Archive<File> {
    /// Opens an archive file.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::new(File::open(path).map_err(read)?)
    }

    /// The SHA-256 of a whole file.
    pub fn file_sha256(path: &Path) -> Result<[u8; 32], Error> {
        let mut hasher = Sha256::new();
        let mut file = File::open(path).map_err(read)?;
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match io::Read::read(&mut file, &mut buffer).map_err(read)? {
                0 => return Ok(hasher.finalize().into()),
                bytes => hasher.update(&buffer[..bytes]),
            }
        }
    }
}

impl<R: ReadAt> Archive<R> {
    /// Reads header and footer.
    pub fn new(source: R) -> Result<Self, Error> {
        const ENDS: u64 = (HEADER_BYTES + TRAILER_BYTES) as u64;
        let length = source.len().map_err(read)?;
        if length < ENDS {
            return Err(Error::NotAnArchive { what: "it is too short" });
        }
        let header: [u8; HEADER_BYTES] = array_at(&source, 0)?;
        let (magic, version) = header.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(Error::NotAnArchive { what: "it does not begin as one" });
        }
        let version = version.iter().fold(0, |version, byte| version << 8 | u32::from(*byte));
        if version != VERSION {
            return Err(Error::Version { found: version });
        }
        let trailer: [u8; TRAILER_BYTES] = array_at(&source, length - TRAILER_BYTES as u64)?;
        let (footer_length, rest) = trailer.split_first_chunk::<4>().ok_or(Error::Footer)?;
        let (expected, end) = rest.split_at(32);
        if end != END_MAGIC {
            return Err(Error::NotAnArchive { what: "it does not end as one" });
        }
        let footer_bytes = u64::from(u32::from_be_bytes(*footer_length));
        let footer_bytes = footer_bytes.min(length - ENDS);
        let allocated = usize::try_from(footer_bytes).unwrap_or(usize::MAX);
        limit("bytes of the footer", allocated, MAX_FOOTER_BYTES)?;
        let blocks_end = length - TRAILER_BYTES as u64 - footer_bytes;
        let mut footer = vec![0; allocated];
        source.read_exact_at(&mut footer, blocks_end).map_err(read)?;
        if digest(&header, &footer, *footer_length) != *expected {
            return Err(Error::Footer);
        }
        let footer = Footer::decode(&footer, blocks_end)?;
        Ok(Self { source, footer })
    }

    /// What it holds.
    pub fn summary(&self) -> Summary {
        self.footer.summary()
    }

    /// The log that it is of.
    pub fn log(&self) -> LogId {
        self.footer.log
    }

    /// How many blocks it has.
    pub fn blocks(&self) -> usize {
        self.footer.entries.len()
    }

    /// Reads one block.
    pub fn block(&self, index: usize) -> Result<EventPage, Error> {
        let mut scratch = Scratch::new()?;
        self.read_block(index, &mut scratch)
    }

    /// Hands every block to `each`, on so many threads and so in no order. The first error ends it; of several, the
    /// earliest block's is answered.
    pub fn for_each_block<E: From<Error> + Send>(
        &self,
        threads: usize,
        each: impl Fn(&EventPage) -> Result<(), E> + Sync,
    ) -> Result<(), E> {
        let next = AtomicUsize::new(0);
        let work = || {
            let mut scratch = Scratch::new().map_err(|error| (0, error.into()))?;
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= self.blocks() {
                    return Ok(());
                }
                let page = self.read_block(index, &mut scratch).map_err(E::from);
                if let Err(error) = page.and_then(|page| each(&page)) {
                    // Blocks that were taken are finished, so every block before this one is looked at.
                    next.store(self.blocks(), Ordering::Relaxed);
                    return Err((index, error));
                }
            }
        };
        let failures: Vec<(usize, E)> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(work)).collect();
            let results = workers.into_iter().map(|worker| match worker.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            results.filter_map(Result::err).collect()
        });
        let earliest = failures.into_iter().min_by_key(|(index, _)| *index);
        earliest.map_or(Ok(()), |(_, error)| Err(error))
    }

    /// Checks every event against its hash; `read` is told of every block's events. The error names the first position
    /// or block that differs.
    pub fn verify(&self, threads: usize, read: impl Fn(u64) + Sync) -> Result<(), Error> {
        let commands = AtomicU64::new(0);
        self.for_each_block(threads, |page| {
            if let Some(altered) = page.iter().find(|event| !event.is_intact()) {
                return Err(Error::Altered { position: altered.position });
            }
            let count = page.iter().filter(|event| event.command.is_some()).count();
            commands.fetch_add(count as u64, Ordering::Relaxed);
            read(page.len() as u64);
            Ok(())
        })?;
        let whole = commands.into_inner() == self.footer.commands;
        if whole { Ok(()) } else { Err(Error::NotAnArchive { what: "it has not the commands that it says" }) }
    }

    fn read_block(&self, index: usize, scratch: &mut Scratch) -> Result<EventPage, Error> {
        let Some(entry) = self.footer.entries.get(index) else {
            return Err(Error::Limit { what: "block number", found: index, allowed: self.blocks() });
        };
        let Entry { offset, bytes, first_position, events, sha256 } = entry;
        scratch.compressed.resize(*bytes, 0);
        self.source.read_exact_at(&mut scratch.compressed, *offset).map_err(read)?;
        if <[u8; 32]>::from(Sha256::digest(&scratch.compressed)) != *sha256 {
            return Err(Error::Block { block: index });
        }
        let malformed = |what| Error::Malformed { block: index, what };
        scratch.block.clear();
        scratch
            .decompressor
            .decompress_to_buffer(&scratch.compressed, &mut scratch.block)
            .map_err(|_| malformed("it cannot be decompressed into a block's size"))?;
        let page = block::decode(&scratch.block, *first_position).map_err(malformed)?;
        if page.len() == *events {
            Ok(page)
        } else {
            Err(malformed("it has not the events that the footer says"))
        }
    }
}

/// A thread's buffers, used for one block after the other.
struct Scratch {
    decompressor: Decompressor<'static>,
    compressed: Vec<u8>,
    /// Its capacity is what bounds the decompression.
    block: Vec<u8>,
}

impl Scratch {
    fn new() -> Result<Self, Error> {
        let decompressor = Decompressor::new().map_err(read)?;
        Ok(Self { decompressor, compressed: Vec::new(), block: Vec::with_capacity(MAX_BLOCK_BYTES) })
    }
}

fn array_at<const N: usize>(source: &impl ReadAt, offset: u64) -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    source.read_exact_at(&mut bytes, offset).map_err(read)?;
    Ok(bytes)
}

fn read(source: io::Error) -> Error {
    Error::File { operation: "read", source }
}
