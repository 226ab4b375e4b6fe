//! Base58Check: Base58 over the payload and the first four bytes of its double SHA-256.
//!
//! Buffers are wiped on drop, for WIF and NEP-2 carry key material through here.

use zeroize::Zeroizing;

use crate::hash::sha256;

const CHECKSUM_BYTES: usize = 4;

/// Longest text taken: NEP-2 has 58 characters, the longest of the three uses. Decoding time is quadratic.
const TEXT_CHARS_LIMIT: usize = 64;

/// Why text is not Base58Check of the expected size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text or its payload has the wrong length.
    #[error("wrong length")]
    Length,
    /// A character is outside the alphabet.
    #[error("not base58")]
    Alphabet,
    /// The checksum does not fit the payload: usually a typing error.
    #[error("wrong checksum")]
    Checksum,
}

pub(crate) fn encode(payload: &[u8]) -> Zeroizing<String> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(payload.len() + CHECKSUM_BYTES));
    bytes.extend_from_slice(payload);
    bytes.extend(checksum(payload));
    Zeroizing::new(bs58::encode(bytes.as_slice()).into_string())
}

pub(crate) fn decode<const N: usize>(text: &str) -> Result<Zeroizing<[u8; N]>, Error> {
    if text.len() > TEXT_CHARS_LIMIT {
        return Err(Error::Length);
    }
    // Base58 never decodes to more bytes than it has characters.
    let mut buffer = Zeroizing::new([0_u8; TEXT_CHARS_LIMIT]);
    let length = bs58::decode(text).onto(buffer.as_mut_slice()).map_err(|_| Error::Alphabet)?;
    let (payload, rest) =
        buffer.get(..length).and_then(<[u8]>::split_first_chunk::<N>).ok_or(Error::Length)?;
    let found = <[u8; CHECKSUM_BYTES]>::try_from(rest).map_err(|_| Error::Length)?;
    if found != checksum(payload) {
        return Err(Error::Checksum);
    }
    Ok(Zeroizing::new(*payload))
}

fn checksum(payload: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let [a, b, c, d, ..] = sha256(&sha256(payload));
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn payloads_read_back(payload in any::<[u8; 21]>()) {
            let text = encode(&payload);
            prop_assert_eq!(*decode::<21>(&text).unwrap(), payload);
        }

        #[test]
        fn one_changed_character_is_refused(payload in any::<[u8; 21]>(), at in any::<prop::sample::Index>()) {
            let text = encode(&payload);
            let at = at.index(text.len());
            let other = if text.as_bytes()[at] == b'2' { "3" } else { "2" };
            let changed = format!("{}{other}{}", &text[..at], &text[at + 1..]);
            prop_assert!(decode::<21>(&changed).is_err());
        }

        #[test]
        fn any_text_is_answered(text in ".{0,80}") {
            let _ = decode::<21>(&text);
        }
    }
}
