//! Signs attestation documents as an NSM does, with a leaf below the development root.

use std::collections::BTreeMap;

use aws_lc_rs::rand::SystemRandom;
use aws_nitro_enclaves_nsm_api::api::{AttestationDoc, Digest};

use super::super::AttestationRequest;
use super::certificates::LeafChain;
use super::{DevelopmentRoot, Error};

/// A module's key and certificates, renewed before they end.
pub(super) struct Signer {
    module_id: String,
    root: DevelopmentRoot,
    chain: LeafChain,
}

impl Signer {
    /// A signer for the module of that name.
    pub(super) fn new(root: DevelopmentRoot, module_id: String, now_ms: u64) -> Result<Self, Error> {
        let chain = LeafChain::issue(&root, &module_id, now_ms)?;
        Ok(Self { module_id, root, chain })
    }

    pub(super) fn module_id(&self) -> &str {
        &self.module_id
    }

    /// A document over these registers; the request is within the limits of one.
    pub(super) fn sign(
        &mut self,
        now_ms: u64,
        pcrs: BTreeMap<usize, Vec<u8>>,
        request: AttestationRequest,
    ) -> Result<Vec<u8>, Error> {
        if !self.chain.is_usable_at(now_ms) {
            self.chain = LeafChain::issue(&self.root, &self.module_id, now_ms)?;
        }
        let payload = AttestationDoc::new(
            self.module_id.clone(),
            Digest::SHA384,
            now_ms,
            pcrs,
            self.chain.leaf.clone(),
            vec![self.root.certificate().to_vec(), self.chain.intermediate.clone()],
            request.user_data,
            request.nonce,
            request.public_key,
        )
        .to_binary();
        let message = [SIGNATURE_CONTEXT, PROTECTED_HEADER, EMPTY, &byte_string(&payload)].concat();
        let signature = self.chain.key.sign(&SystemRandom::new(), &message).map_err(|_| Error::Signature)?;
        let document = [
            COSE_SIGN1,
            PROTECTED_HEADER,
            EMPTY_MAP,
            &byte_string(&payload),
            &byte_string(signature.as_ref()),
        ];
        Ok(document.concat())
    }
}

/// CBOR: an array of four items, as COSE_Sign1 is and its `Sig_structure` too.
const COSE_SIGN1: &[u8] = &[0x84];
/// The `Sig_structure` up to the protected header (RFC 9052 §4.4).
const SIGNATURE_CONTEXT: &[u8] = b"\x84\x6aSignature1";
/// `{1: -35}` in a byte string: the algorithm is ES384.
const PROTECTED_HEADER: &[u8] = &[0x44, 0xa1, 0x01, 0x38, 0x22];
/// An empty byte string: no external additional data.
const EMPTY: &[u8] = &[0x40];
/// The unprotected header.
const EMPTY_MAP: &[u8] = &[0xa0];

fn byte_string(bytes: &[u8]) -> Vec<u8> {
    let length = (bytes.len() as u64).to_be_bytes();
    let head = match bytes.len() {
        0..0x18 => vec![0x40 | length[7]],
        0x18..0x100 => vec![0x58, length[7]],
        0x100..0x1_0000 => vec![0x59, length[6], length[7]],
        _ => [&[0x5b], length.as_slice()].concat(),
    };
    [head.as_slice(), bytes].concat()
}
