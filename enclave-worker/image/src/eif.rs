//! The enclave image file, version 4: a header of 548 bytes, then kernel, command line, metadata and ramdisks, each with
//! a header of its own; big-endian throughout, under one CRC (README of AWS' `aws-nitro-enclaves-image-format`).
//!
//! The reader takes what this writer and AWS' write and nothing else: every byte belongs to a section, and each section
//! is where the order says. Signed images are not read: a signature is made for what was measured, not for a file.

mod read;

use crate::measurements::Measurements;
use crate::metadata::Metadata;

/// The largest file that is read: a kernel and a worker take some 30 MB.
pub const EIF_BYTES_MAX: usize = 512 << 20;
/// Bytes of the file's header.
const HEADER_BYTES: usize = 548;
/// Bytes of a section's header: type, flags, size.
const SECTION_HEADER_BYTES: usize = 12;
/// Sections for which the header has places.
const SECTIONS_MAX: usize = 32;
/// Where the header's last field, the CRC, begins.
const CRC_OFFSET: usize = HEADER_BYTES - 4;
const MAGIC: [u8; 4] = *b".eif";
const VERSION: u16 = 4;
/// Flags of a file: bit 0 is set for arm64, so this is x86-64.
const FLAGS: u16 = 0;
/// Memory and processors that a launcher takes if it is not told: AWS' own defaults.
const DEFAULT_MEMORY_BYTES: u64 = 1 << 30;
const DEFAULT_PROCESSORS: u64 = 2;

/// The types of sections, by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
enum SectionType {
    Kernel = 1,
    Cmdline = 2,
    Ramdisk = 3,
    Metadata = 5,
}

/// Why bytes are no image, or an image cannot be written.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// Larger than [`EIF_BYTES_MAX`].
    #[error("image of {bytes} bytes or more exceeds {EIF_BYTES_MAX}")]
    TooLarge {
        /// Its size, as far as it was read.
        bytes: usize,
    },
    /// The file ends within something.
    #[error("image ends within {part}")]
    Truncated {
        /// What is cut off.
        part: &'static str,
    },
    /// The first bytes are others.
    #[error("not an enclave image: it does not begin with \".eif\"")]
    Magic,
    /// A version that is not 4.
    #[error("image has version {version}; only version {VERSION} is read")]
    Version {
        /// The version.
        version: u16,
    },
    /// A field has a value that neither this writer nor AWS' writes.
    #[error("{field} of the image is {found}")]
    Field {
        /// Which one.
        field: &'static str,
        /// Its value.
        found: u64,
    },
    /// The checksum is another one.
    #[error("checksum of the image is {found:08x}, not {expected:08x} as its header says")]
    Checksum {
        /// What the header says.
        expected: u32,
        /// What the bytes have.
        found: u32,
    },
    /// A section is not where the one before it ends, or of another size than the header says.
    #[error("section {index} is not where the header says")]
    Misplaced {
        /// Which one, from 0.
        index: usize,
    },
    /// A type of section that is not read, or not in this place.
    #[error("section {index} is of type {found}, which does not belong there")]
    Unexpected {
        /// Which one, from 0.
        index: usize,
        /// Its type.
        found: u16,
    },
    /// Something follows the last section.
    #[error("{bytes} bytes follow the last section")]
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// The command line is not text.
    #[error("command line is not utf-8")]
    Cmdline,
    /// The metadata section is not as AWS defines it.
    #[error("metadata cannot be read or written: {message}")]
    Metadata {
        /// What is wrong with it.
        message: String,
    },
    /// No ramdisk, or more than there are places for.
    #[error("image has {count} ramdisks; it must have between 1 and {RAMDISKS_MAX}")]
    Ramdisks {
        /// How many.
        count: usize,
    },
}

/// Kernel, command line and metadata take three places.
const RAMDISKS_MAX: usize = SECTIONS_MAX - 3;

/// An image, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Eif {
    /// A bzImage.
    pub kernel: Vec<u8>,
    /// The kernel's command line.
    pub cmdline: String,
    /// Loaded one right behind the other; the first one counts for PCR1, the others for PCR2.
    pub ramdisks: Vec<Vec<u8>>,
    /// Not measured.
    pub metadata: Metadata,
}

impl Eif {
    /// What the hypervisor will measure.
    pub fn measurements(&self) -> Measurements {
        Measurements::of(&self.kernel, &self.cmdline, self.ramdisks.iter().map(Vec::as_slice))
    }

    /// The file's bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        if !(1..=RAMDISKS_MAX).contains(&self.ramdisks.len()) {
            return Err(Error::Ramdisks { count: self.ramdisks.len() });
        }
        let metadata = serde_json::to_vec(&self.metadata)
            .map_err(|error| Error::Metadata { message: error.to_string() })?;
        let mut sections = vec![
            (SectionType::Kernel, self.kernel.as_slice()),
            (SectionType::Cmdline, self.cmdline.as_bytes()),
            (SectionType::Metadata, &metadata),
        ];
        sections.extend(self.ramdisks.iter().map(|ramdisk| (SectionType::Ramdisk, ramdisk.as_slice())));
        let bytes = HEADER_BYTES
            + sections.iter().map(|(_, content)| SECTION_HEADER_BYTES + content.len()).sum::<usize>();
        if bytes > EIF_BYTES_MAX {
            return Err(Error::TooLarge { bytes });
        }
        let mut file = header(&sections);
        file.reserve_exact(bytes - file.len());
        for (section_type, content) in sections {
            file.extend((section_type as u16).to_be_bytes());
            file.extend(FLAGS.to_be_bytes());
            file.extend(length(content).to_be_bytes());
            file.extend_from_slice(content);
        }
        let checksum = checksum(&file);
        // The header was written in full, so its last four bytes are there.
        file.splice(CRC_OFFSET..HEADER_BYTES, checksum.to_be_bytes());
        Ok(file)
    }
}

/// The header, its checksum still zero.
fn header(sections: &[(SectionType, &[u8])]) -> Vec<u8> {
    let mut header = Vec::with_capacity(HEADER_BYTES);
    header.extend(MAGIC);
    header.extend(VERSION.to_be_bytes());
    header.extend(FLAGS.to_be_bytes());
    header.extend(DEFAULT_MEMORY_BYTES.to_be_bytes());
    header.extend(DEFAULT_PROCESSORS.to_be_bytes());
    header.extend([0; 2]);
    // Bounded by SECTIONS_MAX above.
    header.extend(u16::try_from(sections.len()).unwrap_or(u16::MAX).to_be_bytes());
    let places = || {
        sections.iter().map(|(_, content)| Some(*content)).chain(std::iter::repeat(None)).take(SECTIONS_MAX)
    };
    let mut offset = HEADER_BYTES as u64;
    for content in places() {
        header.extend(content.map_or(0, |_| offset).to_be_bytes());
        offset += content.map_or(0, |content| SECTION_HEADER_BYTES as u64 + length(content));
    }
    for content in places() {
        header.extend(content.map_or(0, length).to_be_bytes());
    }
    header.resize(HEADER_BYTES, 0);
    header
}

fn length(content: &[u8]) -> u64 {
    content.len() as u64
}

/// Of everything but the checksum itself.
fn checksum(file: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    for part in [file.get(..CRC_OFFSET), file.get(HEADER_BYTES..)].into_iter().flatten() {
        crc.update(part);
    }
    crc.finalize()
}
