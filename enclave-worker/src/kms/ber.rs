//! As much of BER as an envelope of KMS takes: definite and indefinite lengths, tags of one byte, bounded depth.

/// Deepest nesting: an envelope nests 10 levels.
const DEPTH_MAX: usize = 12;
/// Most bytes of a length: 4 GiB, far beyond any input.
const LENGTH_BYTES_MAX: usize = 4;
/// Set in the tag of an element that is made of elements.
const CONSTRUCTED: u8 = 0x20;
/// Ends an element of indefinite length.
const END_OF_CONTENTS: [u8; 2] = [0, 0];

pub(super) const INTEGER: u8 = 0x02;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const NULL: u8 = 0x05;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// A context-specific tag of a primitive element.
pub(super) const fn context(number: u8) -> u8 {
    0x80 | number
}

/// A context-specific tag of an element that is made of elements.
pub(super) const fn context_constructed(number: u8) -> u8 {
    0xa0 | number
}

/// Why bytes are no BER that is read here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes end within an element.
    #[error("an element ends early")]
    Truncated,
    /// A length of more bytes than any input has, or an indefinite one of a primitive element.
    #[error("the length of an element is malformed")]
    Length,
    /// A tag of several bytes.
    #[error("an element has a tag of several bytes")]
    LongTag,
    /// Too deep.
    #[error("elements nest deeper than {DEPTH_MAX} levels")]
    TooDeep,
    /// Another element than the one that must be there.
    #[error("found an element with tag {found:#04x}, expected {expected:#04x}")]
    Tag {
        /// What must be there.
        expected: u8,
        /// What is.
        found: u8,
    },
    /// Something after the last element.
    #[error("bytes after the last element")]
    Trailing,
}

/// Reads elements one after another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    depth: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, depth: 0 }
    }

    /// The tag of the next element, if there is one.
    pub(super) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// The contents of the next element, which has this tag.
    pub(super) fn contents(&mut self, expected: u8) -> Result<&'a [u8], Error> {
        match self.element()? {
            (found, contents) if found == expected => Ok(contents),
            (found, _) => Err(Error::Tag { expected, found }),
        }
    }

    /// The elements of the next element, which has this tag.
    pub(super) fn inner(&mut self, expected: u8) -> Result<Self, Error> {
        let depth = self.depth + 1;
        if depth > DEPTH_MAX {
            return Err(Error::TooDeep);
        }
        Ok(Self { rest: self.contents(expected)?, depth })
    }

    /// The next element, whatever it is.
    pub(super) fn element(&mut self) -> Result<(u8, &'a [u8]), Error> {
        let (tag, length) = self.header()?;
        let contents = match length {
            Some(length) => self.take(length)?,
            None => self.take_indefinite()?,
        };
        Ok((tag, contents))
    }

    /// That nothing follows.
    pub(super) fn end(self) -> Result<(), Error> {
        if self.rest.is_empty() { Ok(()) } else { Err(Error::Trailing) }
    }

    /// Tag and length; no length is an indefinite one.
    fn header(&mut self) -> Result<(u8, Option<usize>), Error> {
        let tag = self.byte()?;
        if tag & 0x1f == 0x1f {
            return Err(Error::LongTag);
        }
        let length = match self.byte()? {
            short @ 0..0x80 => Some(usize::from(short)),
            0x80 if tag & CONSTRUCTED != 0 => None,
            0x80 => return Err(Error::Length),
            long => {
                let count = usize::from(long & 0x7f);
                if count > LENGTH_BYTES_MAX {
                    return Err(Error::Length);
                }
                let bytes = self.take(count)?;
                Some(bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)))
            }
        };
        Ok((tag, length))
    }

    /// What stands before the end of an indefinite length.
    fn take_indefinite(&mut self) -> Result<&'a [u8], Error> {
        let begin = self.rest;
        // How many indefinite lengths are open; definite ones are passed over whole.
        let mut open = 1;
        loop {
            let before = begin.len() - self.rest.len();
            if self.rest.starts_with(&END_OF_CONTENTS) {
                self.take(END_OF_CONTENTS.len())?;
                open -= 1;
                if open == 0 {
                    return begin.get(..before).ok_or(Error::Truncated);
                }
                continue;
            }
            match self.header()? {
                (_, Some(length)) => drop(self.take(length)?),
                (_, None) if self.depth + open >= DEPTH_MAX => return Err(Error::TooDeep),
                (_, None) => open += 1,
            }
        }
    }

    fn byte(&mut self) -> Result<u8, Error> {
        let (byte, rest) = self.rest.split_first().ok_or(Error::Truncated)?;
        self.rest = rest;
        Ok(*byte)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Error::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn definite_and_indefinite_lengths_say_the_same() {
        let definite = [0x30, 0x05, 0x04, 0x01, 0x07, 0x05, 0x00];
        let long = [0x30, 0x82, 0x00, 0x05, 0x04, 0x01, 0x07, 0x05, 0x00];
        let indefinite = [0x30, 0x80, 0x04, 0x01, 0x07, 0x05, 0x00, 0x00, 0x00];
        for bytes in [&definite[..], &long, &indefinite] {
            let mut outer = Reader::new(bytes);
            let mut inner = outer.inner(SEQUENCE).unwrap();
            outer.end().unwrap();
            assert_eq!(inner.contents(OCTET_STRING), Ok(&[7][..]));
            assert_eq!(inner.contents(NULL), Ok(&[][..]));
            inner.end().unwrap();
        }
    }

    #[test]
    fn what_is_malformed_is_named() {
        let first = |bytes: &[u8]| Reader::new(bytes).element().unwrap_err();
        assert_eq!(first(&[]), Error::Truncated);
        assert_eq!(first(&[0x30]), Error::Truncated);
        assert_eq!(first(&[0x04, 0x02, 0x00]), Error::Truncated);
        assert_eq!(first(&[0x30, 0x80, 0x05, 0x00]), Error::Truncated);
        assert_eq!(first(&[0x04, 0x80, 0x00, 0x00]), Error::Length);
        assert_eq!(first(&[0x04, 0x85, 0, 0, 0, 0, 0]), Error::Length);
        assert_eq!(first(&[0x04, 0x84, 0xff, 0xff, 0xff, 0xff]), Error::Truncated);
        assert_eq!(first(&[0x1f, 0x01, 0x00]), Error::LongTag);
        assert_eq!(first(&[0x30, 0x80].repeat(DEPTH_MAX + 1)), Error::TooDeep);
        let mut reader = Reader::new(&[0x04, 0x00, 0x00]);
        assert_eq!(reader.contents(SEQUENCE), Err(Error::Tag { expected: 0x30, found: 0x04 }));
        assert_eq!(reader.end(), Err(Error::Trailing));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut reader = Reader::new(&bytes);
            while reader.element().is_ok() {}
        }
    }
}
