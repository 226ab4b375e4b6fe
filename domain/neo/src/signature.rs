//! ECDSA signatures over P-256 in the chain's form: r and s, 32 bytes each.

use std::fmt;

/// Bytes of a signature.
pub const SIGNATURE_BYTES: usize = 64;

/// A signature, r then s, both big endian.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; SIGNATURE_BYTES]);

impl Signature {
    /// Takes r and s. Whether they fit a message is decided by `PublicKey::verify`.
    pub const fn from_bytes(bytes: [u8; SIGNATURE_BYTES]) -> Self {
        Self(bytes)
    }

    /// The bytes of r and s.
    pub const fn as_bytes(&self) -> &[u8; SIGNATURE_BYTES] {
        &self.0
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}
