//! Verification of AWS Nitro attestation documents: COSE_Sign1, certificate chain, measurements, freshness.
//!
//! One path for every document: a development document differs from a production one only in the
//! [`TrustRoot`] that admits it, so what the tests exercise is what production runs.

mod chain;
mod cose;
mod document;
mod error;
mod expectation;
mod pcr;
#[cfg(test)]
mod tests;
mod trust;

use core::time::Duration;

use rustls_pki_types::UnixTime;

use self::cose::CoseSign1;
use self::document::Payload;

pub use self::document::{
    AttestationDocument, NONCE_BYTES_MAX, PCR_COUNT_MAX, PUBLIC_KEY_BYTES_MAX, USER_DATA_BYTES_MAX,
};
pub use self::error::Error;
pub use self::expectation::Expectation;
pub use self::pcr::{PCR_BYTES, Pcr, manifest_pcr16, pcr_after_extend};
pub use self::trust::TrustRoot;

/// Largest document: KMS takes ten times that, real ones have under 6 KiB, and a bundle of seven
/// certificates and 32 PCRs still fits.
pub const DOCUMENT_BYTES_MAX: usize = 24_576;

/// The time at which the certificate chain must be valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifyTime {
    /// The document's own timestamp, for replaying a log: leaf certificates live about three hours.
    Document,
    /// A time in milliseconds since the Unix epoch; the present, when a live peer is judged.
    At(u64),
}

/// Verifies a document from its bytes to its claims; every check is made, whatever the trust root.
///
/// # Errors
/// The first check that fails, in this order: form, trust root, certificate path at `time`, signature, then
/// the expectation's debug mode, build, manifest commitment and nonce.
pub fn verify(
    document: &[u8],
    expectation: &Expectation,
    trust: &TrustRoot,
    time: VerifyTime,
) -> Result<AttestationDocument, Error> {
    if document.len() > DOCUMENT_BYTES_MAX {
        return Err(Error::TooLarge { bytes: document.len(), limit: DOCUMENT_BYTES_MAX });
    }
    let envelope = CoseSign1::parse(document)?;
    let payload = Payload::parse(envelope.payload)?;
    let valid_at_ms = match time {
        VerifyTime::Document => payload.document.timestamp_ms,
        VerifyTime::At(unix_ms) => unix_ms,
    };
    let valid_at = UnixTime::since_unix_epoch(Duration::from_millis(valid_at_ms));
    trust.admit(payload.root)?;
    chain::verify(&payload, valid_at, &envelope.signed_bytes(), envelope.signature)?;
    expectation.meet(&payload.document)?;
    Ok(payload.document)
}
