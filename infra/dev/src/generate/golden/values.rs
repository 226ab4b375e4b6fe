//! The values that samples are made of, in three extents.

use nsl_schemas::bytes::{Base64, Pcr, Sha256};
use nsl_schemas::nkey::{PublicKey, SigningKey};
use uuid::Uuid;

use super::super::vectors::{COMMAND_ID, ISSUED_AT_MS};

/// How much a sample holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// What may be absent or empty is.
    Minimal,
    /// As in use.
    Full,
    /// Longest lists, largest numbers, and text that canonical JSON has to escape.
    Extreme,
}

/// Characters that canonical JSON escapes, and those that it must not: control characters, quotes, both ends of the
/// plane of code units, and a character outside of it.
const TEXT: &str =
    "\u{0}\u{8}\t\n\u{c}\r\u{1f} \"\\/<>\u{7f}\u{80}\u{2028}\u{d7ff}\u{e000}\u{fb33}\u{ffff}\u{1f600}";
/// Repeats of it in an extreme sample.
const TEXT_REPEATS: usize = 16;
/// Bytes of an extreme sample: every value of a byte, and a length that needs padding.
const BYTES: usize = 1_025;
/// The largest integer that a JSON number holds exactly.
const INTEGER_MAX: u64 = (1 << 53) - 1;

impl Extent {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Minimal => "minimal",
            Self::Full => "full",
            Self::Extreme => "extreme",
        }
    }

    /// One of three.
    pub(super) fn of<T>(self, minimal: T, full: T, extreme: T) -> T {
        match self {
            Self::Minimal => minimal,
            Self::Full => full,
            Self::Extreme => extreme,
        }
    }

    pub(super) fn text(self, usual: &str) -> String {
        self.of(String::new(), usual.to_owned(), TEXT.repeat(TEXT_REPEATS))
    }

    pub(super) fn token(self, usual: &str) -> String {
        self.of("0".to_owned(), usual.to_owned(), "_-Zz".repeat(16))
    }

    pub(super) fn bytes(self, usual: &[u8]) -> Base64 {
        let every = (0..=u8::MAX).cycle().take(BYTES).collect();
        Base64(self.of(Vec::new(), usual.to_vec(), every))
    }

    pub(super) fn sha256(self, usual: &str) -> Sha256 {
        self.of(Sha256([0; 32]), Sha256::of(usual.as_bytes()), Sha256([0xff; 32]))
    }

    pub(super) fn pcr(self) -> Pcr {
        Pcr(self.of([0; 48], [0x10; 48], [0xff; 48]))
    }

    pub(super) fn uuid(self) -> Uuid {
        self.of(Uuid::nil(), COMMAND_ID, Uuid::max())
    }

    pub(super) fn u32(self, usual: u32) -> u32 {
        self.of(0, usual, u32::MAX)
    }

    /// What a JSON number holds exactly.
    pub(super) fn integer(self, usual: u64) -> u64 {
        self.of(0, usual, INTEGER_MAX)
    }

    pub(super) fn time_ms(self) -> u64 {
        self.integer(ISSUED_AT_MS)
    }

    /// What is written as text.
    pub(super) fn u64(self, usual: u64) -> u64 {
        self.of(0, usual, u64::MAX)
    }

    pub(super) fn optional<T>(self, value: T) -> Option<T> {
        (self != Self::Minimal).then_some(value)
    }

    /// None, two, or as many as there may be.
    pub(super) fn list<T>(self, most: usize, one: impl Fn(usize) -> T) -> Vec<T> {
        (0..self.of(0, 2, most)).map(one).collect()
    }

    pub(super) fn key(self) -> PublicKey {
        key(self.of(0, 4, u8::MAX))
    }
}

/// The public key of a seed of equal bytes.
pub(super) fn key(seed: u8) -> PublicKey {
    SigningKey::from_seed(&[seed; 32]).public()
}
