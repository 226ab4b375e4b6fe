//! WIF: a private key as Base58Check text, for people who move keys by hand.

use zeroize::Zeroizing;

use crate::address::Base58CheckError;
use crate::base58check;
use crate::private_key::{self, PRIVATE_KEY_BYTES, PrivateKey};

/// Version byte before the key.
const VERSION: u8 = 0x80;

/// Byte after the key that says: its public key is used in compressed form.
const COMPRESSED: u8 = 0x01;

const PAYLOAD_BYTES: usize = 1 + PRIVATE_KEY_BYTES + 1;

/// Why text is not a WIF key.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text is not Base58Check of 34 bytes.
    #[error("not a WIF key")]
    Encoding(#[source] Base58CheckError),
    /// The version or the compression mark is another.
    #[error("the WIF key is not one of a compressed P-256 key")]
    Prefix,
    /// The key itself is invalid.
    #[error("the WIF key is invalid")]
    Key(#[source] private_key::Error),
}

/// Writes a private key as WIF.
pub fn encode(key: &PrivateKey) -> Zeroizing<String> {
    let mut payload = Zeroizing::new(Vec::with_capacity(PAYLOAD_BYTES));
    payload.push(VERSION);
    payload.extend_from_slice(key.secret_bytes().as_slice());
    payload.push(COMPRESSED);
    base58check::encode(&payload)
}

/// Reads a private key from WIF.
pub fn decode(text: &str) -> Result<PrivateKey, Error> {
    let payload = base58check::decode::<PAYLOAD_BYTES>(text).map_err(Error::Encoding)?;
    let [version, rest @ ..] = &*payload;
    let (secret, mark) = rest.split_first_chunk::<PRIVATE_KEY_BYTES>().ok_or(Error::Prefix)?;
    if *version != VERSION || *mark != [COMPRESSED] {
        return Err(Error::Prefix);
    }
    PrivateKey::from_bytes(Zeroizing::new(*secret)).map_err(Error::Key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_keys::VECTORS;

    #[test]
    fn published_keys_read_and_write() {
        for vector in VECTORS {
            let key = decode(vector.wif).unwrap();
            assert_eq!(hex::encode(key.secret_bytes().as_slice()), vector.private_key);
            assert_eq!(key.public_key().to_string(), vector.public_key);
            assert_eq!(key.public_key().address().to_string(), vector.address);
            assert_eq!(*encode(&key), vector.wif);
        }
    }

    #[test]
    fn wrong_text_is_refused() {
        let mut uncompressed = [0x11; PAYLOAD_BYTES];
        uncompressed[0] = VERSION;
        assert!(matches!(decode(&base58check::encode(&uncompressed)), Err(Error::Prefix)));
        for text in ["", "K", "KyKvWLZsNwBJx5j9nurHYRwhYfdQUu9tTEDsLCUHDbYBL8cHxMiS"] {
            assert!(matches!(decode(text), Err(Error::Encoding(_))), "{text}");
        }
    }
}
