//! The bounded reader: strict about every field, so that a file has one reading.

use std::io::Read;

use super::{
    EIF_BYTES_MAX, Eif, Error, FLAGS, HEADER_BYTES, MAGIC, RAMDISKS_MAX, SECTION_HEADER_BYTES, SECTIONS_MAX,
    SectionType, VERSION, checksum,
};
use crate::metadata::Metadata;

impl Eif {
    /// Reads a file of at most [`EIF_BYTES_MAX`] bytes; the inner result says whether it is an image.
    pub fn read(from: impl Read) -> std::io::Result<Result<Self, Error>> {
        let mut bytes = Vec::new();
        from.take(EIF_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
        Ok(Self::parse(&bytes))
    }

    /// Takes a file apart.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > EIF_BYTES_MAX {
            return Err(Error::TooLarge { bytes: bytes.len() });
        }
        let header = Header::parse(bytes)?;
        let rest = bytes.get(HEADER_BYTES..).unwrap_or_default();
        let mut sections = Sections { rest, header: &header, index: 0, offset: HEADER_BYTES as u64 };
        let kernel = sections.take(SectionType::Kernel)?.to_vec();
        let cmdline =
            String::from_utf8(sections.take(SectionType::Cmdline)?.to_vec()).map_err(|_| Error::Cmdline)?;
        let metadata: Metadata = serde_json::from_slice(sections.take(SectionType::Metadata)?)
            .map_err(|error| Error::Metadata { message: error.to_string() })?;
        let mut ramdisks = Vec::new();
        while sections.index < header.sections.len() {
            ramdisks.push(sections.take(SectionType::Ramdisk)?.to_vec());
        }
        match (ramdisks.len(), sections.rest.len()) {
            (count @ 0, _) => Err(Error::Ramdisks { count }),
            (_, 0) => Ok(Self { kernel, cmdline, ramdisks, metadata }),
            (_, bytes) => Err(Error::Trailing { bytes }),
        }
    }
}

/// What the header says of the sections: where each begins and how long its content is.
struct Header {
    sections: Vec<(u64, u64)>,
}

impl Header {
    fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let header = bytes.get(..HEADER_BYTES).ok_or(Error::Truncated { part: "the header" })?;
        let mut fields = Fields(header);
        if fields.take::<4>() != MAGIC {
            return Err(Error::Magic);
        }
        match fields.u16() {
            VERSION => {}
            version => return Err(Error::Version { version }),
        }
        fields.expect("architecture", u64::from(FLAGS), |fields| u64::from(fields.u16()))?;
        // What a launcher takes by default is its own affair.
        let (_memory, _processors) = (fields.u64(), fields.u64());
        fields.expect("reserved field", 0, |fields| u64::from(fields.u16()))?;
        let count = usize::from(fields.u16());
        if !(4..=SECTIONS_MAX).contains(&count) {
            return Err(Error::Ramdisks { count: count.saturating_sub(SECTIONS_MAX - RAMDISKS_MAX) });
        }
        let offsets: [u64; SECTIONS_MAX] = std::array::from_fn(|_| fields.u64());
        let sizes: [u64; SECTIONS_MAX] = std::array::from_fn(|_| fields.u64());
        let mut sections: Vec<_> = offsets.into_iter().zip(sizes).collect();
        for unused in sections.drain(count..) {
            if unused != (0, 0) {
                return Err(Error::Field {
                    field: "place of a section that is not there",
                    found: unused.0.max(unused.1),
                });
            }
        }
        fields.expect("unused field", 0, |fields| u64::from(fields.u32()))?;
        let (expected, found) = (fields.u32(), checksum(bytes));
        if found == expected { Ok(Self { sections }) } else { Err(Error::Checksum { expected, found }) }
    }
}

/// Reads fields from a header whose length was checked; past its end there are zeros.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let Some((field, rest)) = self.0.split_first_chunk::<N>() else { return [0; N] };
        self.0 = rest;
        *field
    }

    fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.take())
    }

    fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.take())
    }

    fn u64(&mut self) -> u64 {
        u64::from_be_bytes(self.take())
    }

    fn expect(
        &mut self,
        field: &'static str,
        value: u64,
        read: impl Fn(&mut Self) -> u64,
    ) -> Result<(), Error> {
        let found = read(self);
        if found == value { Ok(()) } else { Err(Error::Field { field, found }) }
    }
}

/// The sections that are still to be read.
struct Sections<'a> {
    rest: &'a [u8],
    header: &'a Header,
    index: usize,
    offset: u64,
}

impl<'a> Sections<'a> {
    fn take(&mut self, wanted: SectionType) -> Result<&'a [u8], Error> {
        let index = self.index;
        let (head, rest) = self
            .rest
            .split_at_checked(SECTION_HEADER_BYTES)
            .ok_or(Error::Truncated { part: "a section's header" })?;
        let mut fields = Fields(head);
        let found = fields.u16();
        if found != wanted as u16 {
            return Err(Error::Unexpected { index, found });
        }
        fields.expect("flags of a section", 0, |fields| u64::from(fields.u16()))?;
        let size = fields.u64();
        let (content, rest) = usize::try_from(size)
            .ok()
            .and_then(|size| rest.split_at_checked(size))
            .ok_or(Error::Truncated { part: "a section" })?;
        if self.header.sections.get(index) != Some(&(self.offset, size)) {
            return Err(Error::Misplaced { index });
        }
        self.offset += SECTION_HEADER_BYTES as u64 + size;
        self.rest = rest;
        self.index += 1;
        Ok(content)
    }
}
