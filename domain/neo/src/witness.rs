//! Witnesses: the pair of scripts that proves a signer's consent.

use crate::binary::{self, Reader};
use crate::public_key::PublicKey;
use crate::script;
use crate::signature::Signature;

/// Longest invocation or verification script of a witness (protocol).
pub const WITNESS_SCRIPT_BYTES_LIMIT: usize = 1024;

/// The scripts that a node runs to check a signer: the invocation pushes what the verification judges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// Pushes the signatures.
    pub invocation: Vec<u8>,
    /// Judges them; its hash is the signer's account.
    pub verification: Vec<u8>,
}

impl Witness {
    /// The witness of a single-signature account.
    pub fn single_signature(key: &PublicKey, signature: &Signature) -> Self {
        Self {
            invocation: script::signatures_invocation([signature]),
            verification: script::single_signature_verification(key),
        }
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        binary::write_bytes(out, &self.invocation);
        binary::write_bytes(out, &self.verification);
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, binary::Error> {
        let invocation = reader.bytes("invocation script", WITNESS_SCRIPT_BYTES_LIMIT)?.to_vec();
        let verification = reader.bytes("verification script", WITNESS_SCRIPT_BYTES_LIMIT)?.to_vec();
        Ok(Self { invocation, verification })
    }
}
