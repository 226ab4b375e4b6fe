//! The envelope of `CiphertextForRecipient`: CMS EnvelopedData (RFC 5652) for one recipient, RSAES-OAEP with SHA-256
//! throughout, AES-256-CBC. KMS writes it in BER with indefinite lengths, OpenSSL in DER; everything else is refused.

pub use super::ber::Error as BerError;
use super::ber::{
    INTEGER, NULL, OBJECT_IDENTIFIER, OCTET_STRING, Reader, SEQUENCE, SET, context, context_constructed,
};

/// Bytes of AES' blocks and of the initialisation vector.
pub(super) const BLOCK_BYTES: usize = 16;
/// Longest encrypted content: a page, as secrets have; a key takes 48 bytes.
const CONTENT_BYTES_MAX: usize = 4096;
/// Longest encrypted key: that of RSA-4096.
const ENCRYPTED_KEY_BYTES_MAX: usize = 512;
/// Of EnvelopedData, and of a recipient that is named by its key.
const VERSION: &[u8] = &[2];

const ENVELOPED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x03];
const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
const RSAES_OAEP: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x07];
const MGF1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08];
const SHA256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
const AES_256_CBC: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2a];

/// Why an envelope is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No BER, or elements in another order.
    #[error("envelope is malformed")]
    Ber(#[from] BerError),
    /// Other content.
    #[error("content is no EnvelopedData around plain data")]
    ContentType,
    /// Another version.
    #[error("EnvelopedData or its recipient is not of version 2")]
    Version,
    /// Its key is encrypted otherwise.
    #[error("key is not encrypted by RSAES-OAEP with SHA-256 throughout")]
    KeyAlgorithm,
    /// It has another length than an RSA key makes.
    #[error("encrypted key has {bytes} bytes, more than {ENCRYPTED_KEY_BYTES_MAX}")]
    EncryptedKey {
        /// How many.
        bytes: usize,
    },
    /// Its content is encrypted otherwise.
    #[error("content is not encrypted by AES-256-CBC")]
    ContentAlgorithm,
    /// The content has a length that encryption does not make.
    #[error("encrypted content has {bytes} bytes, not whole blocks up to {CONTENT_BYTES_MAX}")]
    Content {
        /// How many.
        bytes: usize,
    },
    /// It is for another key.
    #[error("envelope does not open with this worker's key")]
    OtherRecipient,
    /// The content does not open.
    #[error("content of the envelope does not open")]
    NotOpened,
}

/// An envelope, closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The content's key, encrypted to the recipient.
    pub(super) encrypted_key: Vec<u8>,
    pub(super) iv: [u8; BLOCK_BYTES],
    /// Whole blocks.
    pub(super) content: Vec<u8>,
}

impl Envelope {
    /// Reads an envelope.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut outer = Reader::new(bytes);
        let mut info = outer.inner(SEQUENCE)?;
        outer.end()?;
        expect(info.contents(OBJECT_IDENTIFIER)? == ENVELOPED_DATA, Error::ContentType)?;
        let mut explicit = info.inner(context_constructed(0))?;
        info.end()?;
        let mut enveloped = explicit.inner(SEQUENCE)?;
        explicit.end()?;
        expect(enveloped.contents(INTEGER)? == VERSION, Error::Version)?;
        let mut recipients = enveloped.inner(SET)?;
        let encrypted_key = encrypted_key(recipients.inner(SEQUENCE)?)?;
        recipients.end()?;
        let (iv, content) = content(enveloped.inner(SEQUENCE)?)?;
        enveloped.end()?;
        Ok(Self { encrypted_key, iv, content })
    }
}

/// The encrypted key of KeyTransRecipientInfo. Who the recipient is says the key that it opens with.
fn encrypted_key(mut recipient: Reader<'_>) -> Result<Vec<u8>, Error> {
    expect(recipient.contents(INTEGER)? == VERSION, Error::Version)?;
    recipient.contents(context(0))?;
    oaep(recipient.inner(SEQUENCE)?)?;
    let key = recipient.contents(OCTET_STRING)?;
    recipient.end()?;
    let bytes = key.len();
    expect((1..=ENCRYPTED_KEY_BYTES_MAX).contains(&bytes), Error::EncryptedKey { bytes })?;
    Ok(key.to_vec())
}

/// That the algorithm is RSAES-OAEP with SHA-256 as its hash and in MGF1, and no label.
fn oaep(mut algorithm: Reader<'_>) -> Result<(), Error> {
    expect(algorithm.contents(OBJECT_IDENTIFIER)? == RSAES_OAEP, Error::KeyAlgorithm)?;
    let mut parameters = algorithm.inner(SEQUENCE)?;
    algorithm.end()?;
    let of_default = |parameters: &Reader<'_>, number| parameters.peek() != Some(context_constructed(number));
    if of_default(&parameters, 0) {
        return Err(Error::KeyAlgorithm);
    }
    let mut hash = parameters.inner(context_constructed(0))?;
    sha256(hash.inner(SEQUENCE)?)?;
    hash.end()?;
    if of_default(&parameters, 1) {
        return Err(Error::KeyAlgorithm);
    }
    let mut mask = parameters.inner(context_constructed(1))?;
    let mut generation = mask.inner(SEQUENCE)?;
    mask.end()?;
    expect(generation.contents(OBJECT_IDENTIFIER)? == MGF1, Error::KeyAlgorithm)?;
    sha256(generation.inner(SEQUENCE)?)?;
    generation.end()?;
    parameters.end().map_err(|_| Error::KeyAlgorithm)
}

/// That the algorithm is SHA-256; its parameters are absent or NULL.
fn sha256(mut algorithm: Reader<'_>) -> Result<(), Error> {
    expect(algorithm.contents(OBJECT_IDENTIFIER)? == SHA256, Error::KeyAlgorithm)?;
    if algorithm.peek().is_some() {
        expect(algorithm.contents(NULL)?.is_empty(), Error::KeyAlgorithm)?;
    }
    Ok(algorithm.end()?)
}

/// Initialisation vector and blocks of EncryptedContentInfo.
fn content(mut info: Reader<'_>) -> Result<([u8; BLOCK_BYTES], Vec<u8>), Error> {
    expect(info.contents(OBJECT_IDENTIFIER)? == DATA, Error::ContentType)?;
    let mut algorithm = info.inner(SEQUENCE)?;
    expect(algorithm.contents(OBJECT_IDENTIFIER)? == AES_256_CBC, Error::ContentAlgorithm)?;
    let iv = algorithm.contents(OCTET_STRING)?.try_into().map_err(|_| Error::ContentAlgorithm)?;
    algorithm.end()?;
    let mut blocks = Vec::new();
    if info.peek() == Some(context_constructed(0)) {
        // In pieces.
        let mut pieces = info.inner(context_constructed(0))?;
        while pieces.peek().is_some() {
            blocks.extend_from_slice(pieces.contents(OCTET_STRING)?);
        }
    } else {
        blocks.extend_from_slice(info.contents(context(0))?);
    }
    info.end()?;
    let bytes = blocks.len();
    let is_whole = (BLOCK_BYTES..=CONTENT_BYTES_MAX).contains(&bytes) && bytes.is_multiple_of(BLOCK_BYTES);
    expect(is_whole, Error::Content { bytes })?;
    Ok((iv, blocks))
}

fn expect(holds: bool, error: Error) -> Result<(), Error> {
    if holds { Ok(()) } else { Err(error) }
}

#[cfg(test)]
mod tests;
