//! The chain's binary encoding: little-endian integers and length-prefixed bytes.
//!
//! `Reader` never reads past its input and takes every length with a limit. Lengths must use their shortest
//! form, so that decoding and encoding again gives the same bytes.

/// Why bytes are not a valid encoding.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The input ends inside a field.
    #[error("{what}: {wanted} bytes wanted, {left} left")]
    Truncated {
        /// The field.
        what: &'static str,
        /// Bytes that the field needs.
        wanted: usize,
        /// Bytes that are there.
        left: usize,
    },
    /// A length is over the protocol's limit.
    #[error("{what}: length {length} is over the limit of {limit}")]
    TooLong {
        /// The field.
        what: &'static str,
        /// The length found.
        length: u64,
        /// The protocol's limit.
        limit: usize,
    },
    /// A length is written with more bytes than it needs.
    #[error("{what}: length {length} is not in its shortest form")]
    NonMinimalLength {
        /// The field.
        what: &'static str,
        /// The length found.
        length: u64,
    },
    /// Bytes follow the end of the value.
    #[error("{0} bytes left after the end")]
    TrailingBytes(usize),
}

const LENGTH_U16: u8 = 0xFD;
const LENGTH_U32: u8 = 0xFE;
const LENGTH_U64: u8 = 0xFF;

/// A cursor over untrusted bytes.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn slice(&mut self, what: &'static str, wanted: usize) -> Result<&'a [u8], Error> {
        let truncated = Error::Truncated { what, wanted, left: self.rest.len() };
        let (head, rest) = self.rest.split_at_checked(wanted).ok_or(truncated)?;
        self.rest = rest;
        Ok(head)
    }

    pub(crate) fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], Error> {
        let truncated = Error::Truncated { what, wanted: N, left: self.rest.len() };
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(truncated)?;
        self.rest = rest;
        Ok(*head)
    }

    pub(crate) fn byte(&mut self, what: &'static str) -> Result<u8, Error> {
        self.array::<1>(what).map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self, what: &'static str) -> Result<u16, Error> {
        self.array(what).map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self, what: &'static str) -> Result<u32, Error> {
        self.array(what).map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self, what: &'static str) -> Result<u64, Error> {
        self.array(what).map(u64::from_le_bytes)
    }

    pub(crate) fn i64(&mut self, what: &'static str) -> Result<i64, Error> {
        self.array(what).map(i64::from_le_bytes)
    }

    /// Reads a length or a count of at most `limit`.
    pub(crate) fn length(&mut self, what: &'static str, limit: usize) -> Result<usize, Error> {
        let (length, smallest) = match self.byte(what)? {
            LENGTH_U16 => (u64::from(self.u16(what)?), u64::from(LENGTH_U16)),
            LENGTH_U32 => (u64::from(self.u32(what)?), u64::from(u16::MAX) + 1),
            LENGTH_U64 => (self.u64(what)?, u64::from(u32::MAX) + 1),
            short => (u64::from(short), 0),
        };
        if length < smallest {
            return Err(Error::NonMinimalLength { what, length });
        }
        usize::try_from(length).ok().filter(|value| *value <= limit).ok_or(Error::TooLong {
            what,
            length,
            limit,
        })
    }

    /// Reads length-prefixed bytes of at most `limit`.
    pub(crate) fn bytes(&mut self, what: &'static str, limit: usize) -> Result<&'a [u8], Error> {
        let length = self.length(what, limit)?;
        self.slice(what, length)
    }

    /// Refuses bytes that nobody read.
    pub(crate) fn finish(self) -> Result<(), Error> {
        if self.rest.is_empty() { Ok(()) } else { Err(Error::TrailingBytes(self.rest.len())) }
    }
}

/// Appends a length or a count in its shortest form.
pub(crate) fn write_length(out: &mut Vec<u8>, length: usize) {
    if let Some(byte) = u8::try_from(length).ok().filter(|byte| *byte < LENGTH_U16) {
        out.push(byte);
    } else if let Ok(short) = u16::try_from(length) {
        out.push(LENGTH_U16);
        out.extend(short.to_le_bytes());
    } else if let Ok(word) = u32::try_from(length) {
        out.push(LENGTH_U32);
        out.extend(word.to_le_bytes());
    } else {
        out.push(LENGTH_U64);
        out.extend((length as u64).to_le_bytes());
    }
}

/// Appends length-prefixed bytes.
pub(crate) fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    write_length(out, bytes.len());
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_use_the_shortest_form_at_every_boundary() {
        for (length, encoded) in [
            (0, "00"),
            (0xFC, "fc"),
            (0xFD, "fdfd00"),
            (0xFFFF, "fdffff"),
            (0x1_0000, "fe00000100"),
            (0xFFFF_FFFF, "feffffffff"),
            (0x1_0000_0000, "ff0000000001000000"),
        ] {
            let mut out = Vec::new();
            write_length(&mut out, length);
            assert_eq!(hex::encode(&out), encoded);
            assert_eq!(Reader::new(&out).length("length", usize::MAX), Ok(length));
        }
    }

    #[test]
    fn a_longer_form_than_needed_is_refused() {
        for encoded in ["fdfc00", "feffff0000", "ffffffffff00000000"] {
            let bytes = hex::decode(encoded).unwrap();
            let result = Reader::new(&bytes).length("length", usize::MAX);
            assert!(matches!(result, Err(Error::NonMinimalLength { .. })), "{encoded}: {result:?}");
        }
    }

    #[test]
    fn a_length_over_the_limit_is_refused_before_anything_is_read() {
        let result = Reader::new(&[5, 1]).bytes("script", 4);
        assert_eq!(result, Err(Error::TooLong { what: "script", length: 5, limit: 4 }));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_back(bytes in proptest::collection::vec(any::<u8>(), 0..70_000)) {
            let mut out = Vec::new();
            write_bytes(&mut out, &bytes);
            let mut reader = Reader::new(&out);
            prop_assert_eq!(reader.bytes("bytes", 70_000).unwrap(), &bytes[..]);
            prop_assert!(reader.finish().is_ok());
        }
    }
}
