//! Addresses: Base58Check of the N3 version byte and a script hash.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::base58check;
use crate::hash::Hash160;

pub use crate::base58check::Error as Base58CheckError;

/// The version byte of Neo N3; addresses begin with `N`.
pub const ADDRESS_VERSION: u8 = 0x35;

/// Why text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text is not Base58Check of 21 bytes.
    #[error("not an address")]
    Encoding(#[source] Base58CheckError),
    /// The text is an address of another network family.
    #[error("address version {0:#04x} is not that of Neo N3 (0x35)")]
    Version(u8),
}

/// A script hash in its text form for people.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(Hash160);

impl Address {
    /// The account behind the address.
    pub const fn script_hash(&self) -> Hash160 {
        self.0
    }
}

impl From<Hash160> for Address {
    fn from(script_hash: Hash160) -> Self {
        Self(script_hash)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut payload = [ADDRESS_VERSION; 21];
        if let Some((_, hash)) = payload.split_first_mut() {
            hash.copy_from_slice(self.0.as_le_bytes());
        }
        formatter.write_str(&base58check::encode(&payload))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let payload = base58check::decode::<21>(text).map_err(Error::Encoding)?;
        let [version, hash @ ..] = *payload;
        if version != ADDRESS_VERSION {
            return Err(Error::Version(version));
        }
        Ok(Self(Hash160::from_le_bytes(hash)))
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
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
    fn an_address_of_neo_legacy_is_refused_by_its_version() {
        // Version 0x17 over twenty zero bytes.
        let mut payload = [0; 21];
        payload[0] = 0x17;
        let text = base58check::encode(&payload);
        assert_eq!(text.parse::<Address>(), Err(Error::Version(0x17)));
    }

    #[test]
    fn a_typing_error_is_refused_by_the_checksum() {
        let result = "Nhfg3TbpwogLvDGVvAvqyThbsHgoSUKwtm".parse::<Address>();
        assert_eq!(result, Err(Error::Encoding(Base58CheckError::Checksum)));
    }

    proptest! {
        #[test]
        fn text_reads_back(bytes in any::<[u8; 20]>()) {
            let address = Address::from(Hash160::from_le_bytes(bytes));
            let text = address.to_string();
            prop_assert!(text.starts_with('N'));
            prop_assert_eq!(text.parse::<Address>().unwrap(), address);
        }
    }
}
