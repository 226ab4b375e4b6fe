//! The COSE_Sign1 envelope (RFC 9052) in the one form that the NSM writes.

use super::Error;
use crate::cbor::{self, Reader};

/// CBOR tag of COSE_Sign1; the NSM leaves it out, other writers may put it.
const TAG_COSE_SIGN1: u64 = 18;
/// Header label of the algorithm.
const LABEL_ALGORITHM: i64 = 1;
/// ECDSA with P-384 and SHA-384.
const ALGORITHM_ES384: i64 = -35;
/// Two integers of 384 bits.
const SIGNATURE_BYTES: usize = 96;
/// The header is one small map of four bytes; room for a longer algorithm number, so that it can be named.
const PROTECTED_BYTES_MAX: usize = 32;
/// Largest payload: a full bundle, 32 PCRs and all optional fields take less than 12 KiB.
const PAYLOAD_BYTES_MAX: usize = 16_384;

/// A COSE_Sign1 message signed with ES384; its signature is not yet verified.
#[derive(Debug)]
pub(super) struct CoseSign1<'a> {
    protected: &'a [u8],
    pub(super) payload: &'a [u8],
    pub(super) signature: &'a [u8],
}

impl<'a> CoseSign1<'a> {
    /// Reads the envelope. What the signature does not cover has one form only: no unprotected header, no
    /// trailing bytes.
    pub(super) fn parse(document: &'a [u8]) -> Result<Self, Error> {
        let (tag, message) = Self::read(document).map_err(malformed("envelope"))?;
        if let Some(tag) = tag.filter(|tag| *tag != TAG_COSE_SIGN1) {
            return Err(Error::Tag { tag });
        }
        let algorithm = read_algorithm(message.protected).map_err(malformed("protected header"))?;
        if algorithm != ALGORITHM_ES384 {
            return Err(Error::Algorithm { algorithm });
        }
        if message.signature.len() != SIGNATURE_BYTES {
            return Err(Error::SignatureLength { bytes: message.signature.len() });
        }
        Ok(message)
    }

    fn read(document: &'a [u8]) -> Result<(Option<u64>, Self), cbor::Error> {
        let mut reader = Reader::new(document);
        let tag = reader.tag()?;
        reader.array_of(4, "an array of the four parts of cose_sign1")?;
        let protected = reader.bytes(PROTECTED_BYTES_MAX)?;
        reader.map_of(0, "an empty map as unprotected header")?;
        let payload = reader.bytes(PAYLOAD_BYTES_MAX)?;
        // A wrong length gets an error of its own, so any that the document can hold is read here.
        let signature = reader.bytes(document.len())?;
        reader.finish()?;
        Ok((tag, Self { protected, payload, signature }))
    }

    /// The `Sig_structure` of RFC 9052 §4.4, which is what was signed.
    pub(super) fn signed_bytes(&self) -> Vec<u8> {
        let mut signed = vec![0x84, 0x6a];
        signed.extend_from_slice(b"Signature1");
        write_byte_string(&mut signed, self.protected);
        // External additional data: none.
        write_byte_string(&mut signed, &[]);
        write_byte_string(&mut signed, self.payload);
        signed
    }
}

/// The protected header is exactly one entry, the algorithm: others could change the signature's meaning.
fn read_algorithm(protected: &[u8]) -> Result<i64, cbor::Error> {
    let mut reader = Reader::new(protected);
    reader.map_of(1, "a map of one entry, the algorithm")?;
    if reader.integer()? != LABEL_ALGORITHM {
        return Err(cbor::Error::Unexpected { offset: 1, expected: "the label of the algorithm" });
    }
    let algorithm = reader.integer()?;
    reader.finish()?;
    Ok(algorithm)
}

fn write_byte_string(output: &mut Vec<u8>, bytes: &[u8]) {
    let length = bytes.len() as u64;
    let be = length.to_be_bytes();
    match length {
        0..24 => output.push(0x40 | be[7]),
        24..0x100 => output.extend_from_slice(&[0x58, be[7]]),
        0x100..0x1_0000 => output.extend_from_slice(&[0x59, be[6], be[7]]),
        _ => {
            output.push(0x5b);
            output.extend_from_slice(&be);
        }
    }
    output.extend_from_slice(bytes);
}

pub(super) fn malformed(part: &'static str) -> impl Fn(cbor::Error) -> Error {
    move |source| Error::Malformed { part, source }
}
