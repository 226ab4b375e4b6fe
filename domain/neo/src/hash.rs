//! Script hashes and transaction hashes.
//!
//! Bytes are kept in wire order (little endian); text is `0x` and the reversed bytes in hex, as nodes and
//! explorers show it.

use std::fmt;
use std::str::FromStr;

use ripemd::{Digest, Ripemd160};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Sha256;

/// Why text is not a hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text has another length than the hash.
    #[error("a hash of {expected} hex digits was expected, {found} characters found")]
    Length {
        /// Hex digits of this hash.
        expected: usize,
        /// Characters in the text, `0x` not counted.
        found: usize,
    },
    /// The text is not hex.
    #[error("a hash must be hex digits")]
    Hex,
}

/// A hash of `N` bytes in wire order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash<const N: usize>([u8; N]);

/// A script hash: an account or a contract.
pub type Hash160 = Hash<20>;

/// A transaction or block hash.
pub type Hash256 = Hash<32>;

impl<const N: usize> Hash<N> {
    /// Takes bytes in wire order.
    pub const fn from_le_bytes(bytes: [u8; N]) -> Self {
        Self(bytes)
    }

    /// Takes bytes in the order of the text form.
    pub fn from_be_bytes(mut bytes: [u8; N]) -> Self {
        bytes.reverse();
        Self(bytes)
    }

    /// The bytes in wire order.
    pub const fn as_le_bytes(&self) -> &[u8; N] {
        &self.0
    }
}

impl Hash160 {
    /// The hash of a script: RIPEMD-160 of SHA-256.
    pub fn of_script(script: &[u8]) -> Self {
        Self(Ripemd160::digest(sha256(script)).into())
    }
}

impl Hash256 {
    /// The hash of a transaction's or a block's unsigned bytes: one SHA-256.
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha256(bytes))
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

impl<const N: usize> fmt::Display for Hash<N> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut reversed = self.0;
        reversed.reverse();
        write!(formatter, "0x{}", hex::encode(reversed))
    }
}

impl<const N: usize> fmt::Debug for Hash<N> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl<const N: usize> FromStr for Hash<N> {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        if digits.len() != N * 2 {
            return Err(Error::Length { expected: N * 2, found: digits.chars().count() });
        }
        let mut bytes = [0; N];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| Error::Hex)?;
        Ok(Self::from_be_bytes(bytes))
    }
}

impl<const N: usize> Serialize for Hash<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, const N: usize> Deserialize<'de> for Hash<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_is_the_reversed_wire_order() {
        let hash = Hash::<3>::from_le_bytes([1, 2, 3]);
        assert_eq!(hash.to_string(), "0x030201");
        assert_eq!("030201".parse(), Ok(hash));
        assert_eq!(serde_json::to_string(&hash).unwrap(), "\"0x030201\"");
    }

    #[test]
    fn wrong_text_is_refused() {
        for text in ["", "0x", "0x0302", "0x03020100", "0x03020g", "0x0x0302", "äöü"] {
            assert!(text.parse::<Hash<3>>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_reads_back(bytes in any::<[u8; 20]>()) {
            let hash = Hash160::from_le_bytes(bytes);
            prop_assert_eq!(hash.to_string().parse::<Hash160>().unwrap(), hash);
            let json = serde_json::to_string(&hash).unwrap();
            prop_assert_eq!(serde_json::from_str::<Hash160>(&json).unwrap(), hash);
        }

        #[test]
        fn any_text_is_answered(text in ".*") {
            let _ = text.parse::<Hash256>();
        }
    }
}
