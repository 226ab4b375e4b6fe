//! A bounded reader for the CBOR (RFC 8949) of untrusted documents.
//!
//! It borrows, never allocates, refuses chunked strings and heads longer than needed (so that a document has
//! one encoding only, but for indefinite containers), and leaves duplicate keys to the caller.

/// Nesting that a skipped item may have; attestation documents use 2, and the recursion must end.
const DEPTH_MAX: usize = 16;

/// Why bytes are not the CBOR item that was expected; offsets count from the start of the part being read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The input ends inside an item.
    #[error("input ends at byte {offset} inside an item")]
    Truncated {
        /// Where the next byte was needed.
        offset: usize,
    },
    /// An item of another kind stands here.
    #[error("expected {expected} at byte {offset}")]
    Unexpected {
        /// Where the item begins.
        offset: usize,
        /// What the format has here.
        expected: &'static str,
    },
    /// A number or length takes more bytes than it needs.
    #[error("head at byte {offset} is not in its shortest form")]
    NotShortest {
        /// Where the item begins.
        offset: usize,
    },
    /// The head is reserved by RFC 8949 or of no use in any document read here.
    #[error("reserved head 0x{head:02x} at byte {offset}")]
    Reserved {
        /// Where the item begins.
        offset: usize,
        /// The initial byte.
        head: u8,
    },
    /// A string of indefinite length.
    #[error("string in chunks at byte {offset}")]
    ChunkedString {
        /// Where the string begins.
        offset: usize,
    },
    /// A string or container is longer than the format allows.
    #[error("length {length} of the item at byte {offset} exceeds the limit of {limit}")]
    TooLong {
        /// Where the item begins.
        offset: usize,
        /// Its length in bytes or entries.
        length: u64,
        /// The longest allowed.
        limit: usize,
    },
    /// Containers or tags nest too deeply.
    #[error("items nest deeper than {limit} at byte {offset}")]
    TooDeep {
        /// Where the limit was passed.
        offset: usize,
        /// The deepest nesting allowed.
        limit: usize,
    },
    /// A text string is not UTF-8.
    #[error("text at byte {offset} is not utf-8")]
    NotUtf8 {
        /// Where the string begins.
        offset: usize,
    },
    /// Bytes follow the item.
    #[error("{count} bytes follow the item that ends at byte {offset}")]
    TrailingBytes {
        /// Where the item ends.
        offset: usize,
        /// How many bytes follow.
        count: usize,
    },
}

/// The first part of an item; `None` as a count means indefinite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Head {
    Unsigned(u64),
    Negative(u64),
    Bytes(u64),
    Text(u64),
    Array(Option<u64>),
    Map(Option<u64>),
    Tag(u64),
    Null,
    /// A boolean, undefined or floating-point number: only ever skipped.
    Opaque,
    Break,
}

/// Reads items from the front of a byte slice.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    input: &'a [u8],
    offset: usize,
}

/// How far a container has been read.
#[derive(Debug)]
pub(crate) struct Items {
    offset: usize,
    declared: Option<u64>,
    taken: u64,
    limit: usize,
}

impl Items {
    /// Whether one more entry follows; consumes the break that ends an indefinite container.
    pub(crate) fn another(&mut self, reader: &mut Reader<'_>) -> Result<bool, Error> {
        let follows = match self.declared {
            Some(declared) => self.taken < declared,
            None => !reader.take_break()?,
        };
        if follows {
            self.taken += 1;
            within(self.offset, self.taken, self.limit)?;
        }
        Ok(follows)
    }
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    pub(crate) fn new(input: &'a [u8]) -> Self {
        Self { input, offset: 0 }
    }

    /// Succeeds only at the end of the input.
    pub(crate) fn finish(self) -> Result<(), Error> {
        match self.input.len() - self.offset {
            0 => Ok(()),
            count => Err(Error::TrailingBytes { offset: self.offset, count }),
        }
    }

    /// An unsigned integer.
    pub(crate) fn unsigned(&mut self) -> Result<u64, Error> {
        let offset = self.offset;
        match self.head()? {
            Head::Unsigned(value) => Ok(value),
            _ => Err(Error::Unexpected { offset, expected: "an unsigned integer" }),
        }
    }

    /// An integer of either sign that fits 64 bits.
    pub(crate) fn integer(&mut self) -> Result<i64, Error> {
        let offset = self.offset;
        let unexpected = Error::Unexpected { offset, expected: "a 64-bit integer" };
        match self.head()? {
            Head::Unsigned(value) => i64::try_from(value).map_err(|_| unexpected),
            // RFC 8949 §3.1: the value is −1 minus the argument.
            Head::Negative(value) => i64::try_from(value).map(|value| -1 - value).map_err(|_| unexpected),
            _ => Err(unexpected),
        }
    }

    /// A byte string of at most `limit` bytes.
    pub(crate) fn bytes(&mut self, limit: usize) -> Result<&'a [u8], Error> {
        let offset = self.offset;
        match self.head()? {
            Head::Bytes(length) => self.string(offset, length, limit),
            _ => Err(Error::Unexpected { offset, expected: "a byte string" }),
        }
    }

    /// A byte string of at most `limit` bytes, or null.
    pub(crate) fn bytes_or_null(&mut self, limit: usize) -> Result<Option<&'a [u8]>, Error> {
        let offset = self.offset;
        match self.head()? {
            Head::Bytes(length) => self.string(offset, length, limit).map(Some),
            Head::Null => Ok(None),
            _ => Err(Error::Unexpected { offset, expected: "a byte string or null" }),
        }
    }

    /// A text string of at most `limit` bytes.
    pub(crate) fn text(&mut self, limit: usize) -> Result<&'a str, Error> {
        let offset = self.offset;
        match self.head()? {
            Head::Text(length) => {
                let bytes = self.string(offset, length, limit)?;
                core::str::from_utf8(bytes).map_err(|_| Error::NotUtf8 { offset })
            }
            _ => Err(Error::Unexpected { offset, expected: "a text string" }),
        }
    }

    /// An array of at most `limit` entries, definite or indefinite.
    pub(crate) fn array(&mut self, limit: usize) -> Result<Items, Error> {
        let offset = self.offset;
        match self.head()? {
            Head::Array(declared) => Self::items(offset, declared, limit),
            _ => Err(Error::Unexpected { offset, expected: "an array" }),
        }
    }

    /// An array of exactly `count` entries, definite.
    pub(crate) fn array_of(&mut self, count: u64, expected: &'static str) -> Result<(), Error> {
        let offset = self.offset;
        match self.head()? {
            Head::Array(Some(declared)) if declared == count => Ok(()),
            _ => Err(Error::Unexpected { offset, expected }),
        }
    }

    /// A map of at most `limit` entries, definite or indefinite.
    pub(crate) fn map(&mut self, limit: usize) -> Result<Items, Error> {
        let offset = self.offset;
        match self.head()? {
            Head::Map(declared) => Self::items(offset, declared, limit),
            _ => Err(Error::Unexpected { offset, expected: "a map" }),
        }
    }

    /// A map of exactly `count` entries, definite.
    pub(crate) fn map_of(&mut self, count: u64, expected: &'static str) -> Result<(), Error> {
        let offset = self.offset;
        match self.head()? {
            Head::Map(Some(declared)) if declared == count => Ok(()),
            _ => Err(Error::Unexpected { offset, expected }),
        }
    }

    /// The tag in front of the next item, if it has one.
    pub(crate) fn tag(&mut self) -> Result<Option<u64>, Error> {
        let mut ahead = self.clone();
        match ahead.head()? {
            Head::Tag(tag) => {
                *self = ahead;
                Ok(Some(tag))
            }
            _ => Ok(None),
        }
    }

    /// Passes over one item of any kind.
    pub(crate) fn skip(&mut self) -> Result<(), Error> {
        self.skip_nested(DEPTH_MAX)
    }

    fn skip_nested(&mut self, depth_left: usize) -> Result<(), Error> {
        let offset = self.offset;
        let Some(depth_left) = depth_left.checked_sub(1) else {
            return Err(Error::TooDeep { offset, limit: DEPTH_MAX });
        };
        // Every entry takes a byte at least, so the input's length bounds the loops.
        let limit = self.input.len();
        let (declared, items_per_entry) = match self.head()? {
            Head::Unsigned(_) | Head::Negative(_) | Head::Null | Head::Opaque => return Ok(()),
            Head::Bytes(length) | Head::Text(length) => {
                return self.string(offset, length, limit).map(drop);
            }
            Head::Tag(_) => (Some(1), 1),
            Head::Array(declared) => (declared, 1),
            Head::Map(declared) => (declared, 2),
            Head::Break => return Err(Error::Unexpected { offset, expected: "an item" }),
        };
        let mut items = Self::items(offset, declared, limit)?;
        while items.another(self)? {
            for _ in 0..items_per_entry {
                self.skip_nested(depth_left)?;
            }
        }
        Ok(())
    }

    fn items(offset: usize, declared: Option<u64>, limit: usize) -> Result<Items, Error> {
        within(offset, declared.unwrap_or(0), limit)?;
        Ok(Items { offset, declared, taken: 0, limit })
    }

    fn take_break(&mut self) -> Result<bool, Error> {
        let mut ahead = self.clone();
        let is_break = ahead.head()? == Head::Break;
        if is_break {
            *self = ahead;
        }
        Ok(is_break)
    }

    fn head(&mut self) -> Result<Head, Error> {
        let offset = self.offset;
        let initial = self.take(1)?.first().copied().ok_or(Error::Truncated { offset })?;
        let argument = self.argument(offset, initial)?;
        match (initial >> 5, argument) {
            (0, Some(value)) => Ok(Head::Unsigned(value)),
            (1, Some(value)) => Ok(Head::Negative(value)),
            (2, Some(length)) => Ok(Head::Bytes(length)),
            (3, Some(length)) => Ok(Head::Text(length)),
            (2 | 3, None) => Err(Error::ChunkedString { offset }),
            (4, count) => Ok(Head::Array(count)),
            (5, count) => Ok(Head::Map(count)),
            (6, Some(tag)) => Ok(Head::Tag(tag)),
            _ => match initial {
                0xf6 => Ok(Head::Null),
                // false, true, undefined; half, single and double precision numbers.
                0xf4 | 0xf5 | 0xf7 | 0xf9..=0xfb => Ok(Head::Opaque),
                0xff => Ok(Head::Break),
                head => Err(Error::Reserved { offset, head }),
            },
        }
    }

    /// RFC 8949 §3: the additional information is the argument, or says in how many bytes it follows.
    fn argument(&mut self, offset: usize, initial: u8) -> Result<Option<u64>, Error> {
        let (major, information) = (initial >> 5, initial & 0x1f);
        let (width, least) = match information {
            0..=23 => return Ok(Some(u64::from(information))),
            24 => (1, 24),
            25 => (2, 1 << 8),
            26 => (4, 1 << 16),
            27 => (8, 1 << 32),
            31 => return Ok(None),
            _ => return Err(Error::Reserved { offset, head: initial }),
        };
        let value = self.take(width)?.iter().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
        // The bits of a floating-point number (major type 7) are no length and have no shorter form here.
        if major != 7 && value < least {
            return Err(Error::NotShortest { offset });
        }
        Ok(Some(value))
    }

    fn string(&mut self, offset: usize, length: u64, limit: usize) -> Result<&'a [u8], Error> {
        self.take(within(offset, length, limit)?)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Error> {
        let end = self.offset.checked_add(count);
        let taken = end.and_then(|end| self.input.get(self.offset..end));
        let taken = taken.ok_or(Error::Truncated { offset: self.input.len() })?;
        self.offset += count;
        Ok(taken)
    }
}

fn within(offset: usize, length: u64, limit: usize) -> Result<usize, Error> {
    match usize::try_from(length) {
        Ok(length) if length <= limit => Ok(length),
        _ => Err(Error::TooLong { offset, length, limit }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skipped(input: &[u8]) -> Result<(), Error> {
        let mut reader = Reader::new(input);
        reader.skip()?;
        reader.finish()
    }

    #[test]
    fn skips_every_kind_of_item_whole() {
        let items: [&[u8]; 9] = [
            &[0x18, 0x18],
            &[0x38, 0x22],
            &[0x43, 1, 2, 3],
            &[0x61, b'a'],
            &[0x82, 0x01, 0xf6],
            &[0xbf, 0x61, b'a', 0x9f, 0x01, 0xff, 0xff],
            &[0xd2, 0x80],
            &[0xf5],
            &[0xfb, 0, 0, 0, 0, 0, 0, 0, 0],
        ];
        for item in items {
            assert_eq!(skipped(item), Ok(()), "{item:02x?}");
        }
    }

    #[test]
    fn refuses_malformed_items_by_name() {
        let cases: [(&[u8], Error); 14] = [
            (&[], Error::Truncated { offset: 0 }),
            (&[0x19, 1], Error::Truncated { offset: 2 }),
            (&[0x42, 1], Error::Truncated { offset: 2 }),
            (&[0x82, 0x01], Error::Truncated { offset: 2 }),
            (&[0x18, 0x17], Error::NotShortest { offset: 0 }),
            (&[0x19, 0, 0xff], Error::NotShortest { offset: 0 }),
            (&[0x58, 1, 0], Error::NotShortest { offset: 0 }),
            (&[0x1c], Error::Reserved { offset: 0, head: 0x1c }),
            (&[0x1f], Error::Reserved { offset: 0, head: 0x1f }),
            (&[0xf8, 0x20], Error::Reserved { offset: 0, head: 0xf8 }),
            (&[0x5f, 0x41, 0, 0xff], Error::ChunkedString { offset: 0 }),
            (&[0xff], Error::Unexpected { offset: 0, expected: "an item" }),
            (&[0xbf, 0x01, 0xff], Error::Unexpected { offset: 2, expected: "an item" }),
            (&[0x01, 0x02], Error::TrailingBytes { offset: 1, count: 1 }),
        ];
        for (input, expected) in cases {
            assert_eq!(skipped(input), Err(expected), "{input:02x?}");
        }
    }

    #[test]
    fn refuses_lengths_that_the_input_cannot_hold_without_reading_on() {
        let huge = [0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert!(matches!(skipped(&huge), Err(Error::TooLong { length: u64::MAX, .. })));
        let huge_array = [0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert!(matches!(skipped(&huge_array), Err(Error::TooLong { length: u64::MAX, .. })));
    }

    #[test]
    fn ends_at_the_depth_limit() {
        let nested = |depth: usize| [vec![0x81; depth - 1], vec![0x01]].concat();
        assert_eq!(skipped(&nested(DEPTH_MAX)), Ok(()));
        let offset = DEPTH_MAX;
        assert_eq!(skipped(&nested(DEPTH_MAX + 1)), Err(Error::TooDeep { offset, limit: DEPTH_MAX }));
    }

    #[test]
    fn counts_the_entries_of_an_indefinite_container() {
        let mut reader = Reader::new(&[0x9f, 1, 2, 3, 0xff]);
        let mut items = reader.array(2).unwrap();
        for expected in [1, 2] {
            assert_eq!(items.another(&mut reader), Ok(true));
            assert_eq!(reader.unsigned(), Ok(expected));
        }
        assert_eq!(items.another(&mut reader), Err(Error::TooLong { offset: 0, length: 3, limit: 2 }));
    }

    #[test]
    fn reads_integers_of_both_signs_to_their_bounds() {
        let cases: [(&[u8], Option<i64>); 5] = [
            (&[0x38, 0x22], Some(-35)),
            (&[0x20], Some(-1)),
            (&[0x3b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], Some(i64::MIN)),
            (&[0x3b, 0x80, 0, 0, 0, 0, 0, 0, 0], None),
            (&[0x1b, 0x80, 0, 0, 0, 0, 0, 0, 0], None),
        ];
        for (input, expected) in cases {
            assert_eq!(Reader::new(input).integer().ok(), expected, "{input:02x?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics_on_arbitrary_bytes(input: Vec<u8>) {
            if skipped(&input).is_ok() {
                proptest::prop_assert!(!input.is_empty());
            }
        }
    }
}
