//! The root certificate that documents are judged by.

use aws_lc_rs::digest::{SHA256, digest};

use super::Error;

/// SHA-256 of the DER of `AWS Nitro Enclaves Root-G1`, valid until 2049.
const AWS_NITRO_ROOT_G1_SHA256: [u8; 32] = [
    0x64, 0x1a, 0x03, 0x21, 0xa3, 0xe2, 0x44, 0xef, 0xe4, 0x56, 0x46, 0x31, 0x95, 0xd6, 0x06, 0x31, 0x7e,
    0xd7, 0xcd, 0xcc, 0x3c, 0x17, 0x56, 0xe0, 0x98, 0x93, 0xf3, 0xc6, 0x8f, 0x79, 0xbb, 0x5b,
];

/// The one root certificate that is trusted, by the SHA-256 of its DER.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrustRoot {
    sha256: [u8; 32],
}

impl TrustRoot {
    /// The root of all real Nitro enclaves.
    pub const fn aws_nitro() -> Self {
        Self { sha256: AWS_NITRO_ROOT_G1_SHA256 }
    }

    /// The root with this SHA-256: AWS's always, another only in builds with the feature `development`.
    pub fn from_sha256(sha256: [u8; 32]) -> Result<Self, Error> {
        let root = Self { sha256 };
        if root == Self::aws_nitro() || cfg!(feature = "development") {
            Ok(root)
        } else {
            Err(Error::UntrustedRoot { sha256: hex::encode(sha256) })
        }
    }

    /// SHA-256 of the root certificate's DER.
    pub const fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    /// Refuses every root certificate but the trusted one.
    pub(super) fn admit(&self, root: &[u8]) -> Result<(), Error> {
        let found = digest(&SHA256, root);
        if found.as_ref() == self.sha256 {
            Ok(())
        } else {
            Err(Error::UntrustedRoot { sha256: hex::encode(found) })
        }
    }

    /// A root of the tests' own, without the feature: the verifier has no other use for it.
    #[cfg(test)]
    pub(super) fn for_tests(root: &[u8]) -> Self {
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(digest(&SHA256, root).as_ref());
        Self { sha256 }
    }
}
