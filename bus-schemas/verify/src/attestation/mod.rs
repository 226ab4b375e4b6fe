//! Verification of AWS Nitro attestation documents: COSE_Sign1, certificate chain, measurements, freshness.
//!
//! One path for every document: a development document differs from a production one only in the
//! [`TrustRoot`] that admits it, so what the tests exercise is what production runs.

mod certificate;
mod chain;
mod cose;
mod document;
mod error;
mod expectation;
mod pcr;
mod report;
#[cfg(test)]
mod tests;
mod trust;

use core::iter;
use core::time::Duration;

use rustls_pki_types::UnixTime;

use self::cose::CoseSign1;
use self::document::Payload;

pub use self::certificate::{Link, Validity};
pub use self::document::{
    AttestationDocument, NONCE_BYTES_MAX, PCR_COUNT_MAX, PUBLIC_KEY_BYTES_MAX, USER_DATA_BYTES_MAX,
};
pub use self::error::Error;
pub use self::expectation::Expectation;
pub use self::pcr::{PCR_BYTES, Pcr, manifest_pcr16, pcr_after_extend};
pub use self::report::{Check, Report, Verdict};
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
/// The first check that fails: form, then the others in the order of [`Check`]. The signature comes before the path, so
/// that an altered document costs one verification and not one for each certificate.
pub fn verify(
    document: &[u8],
    expectation: &Expectation,
    trust: &TrustRoot,
    time: VerifyTime,
) -> Result<AttestationDocument, Error> {
    let case = Case::read(document, expectation, trust, time)?;
    for check in case.checks() {
        case.judge(check)?;
    }
    Ok(case.payload.document)
}

/// Makes the same checks and reports on each of them, for people who read the report. The build is judged when the
/// expectation lists any; otherwise the measurements are the reader's to judge. To admit a peer, use [`verify`].
///
/// # Errors
/// The document cannot be read.
pub fn examine(
    document: &[u8],
    expectation: &Expectation,
    trust: &TrustRoot,
    time: VerifyTime,
) -> Result<Report, Error> {
    let case = Case::read(document, expectation, trust, time)?;
    let is_asked = |check: &Check| *check != Check::Build || !expectation.builds.is_empty();
    let verdicts = case.checks().filter(is_asked);
    let verdicts = verdicts.map(|check| Verdict { check, refusal: case.judge(check).err() }).collect();
    let Payload { document, certificate, root, intermediates } = case.payload;
    let certificates = iter::once(root).chain(intermediates).chain(iter::once(certificate));
    let chain = certificates.map(|der| Link::read(der, case.time_ms)).collect();
    Ok(Report { document, judged_at_ms: case.time_ms, chain, verdicts })
}

/// A document in good form, and all that it is judged by.
struct Case<'a> {
    envelope: CoseSign1<'a>,
    payload: Payload<'a>,
    expectation: &'a Expectation,
    trust: &'a TrustRoot,
    time_ms: u64,
}

impl<'a> Case<'a> {
    fn read(
        document: &'a [u8],
        expectation: &'a Expectation,
        trust: &'a TrustRoot,
        time: VerifyTime,
    ) -> Result<Self, Error> {
        if document.len() > DOCUMENT_BYTES_MAX {
            return Err(Error::TooLarge { bytes: document.len(), limit: DOCUMENT_BYTES_MAX });
        }
        let envelope = CoseSign1::parse(document)?;
        let payload = Payload::parse(envelope.payload)?;
        let time_ms = match time {
            VerifyTime::Document => payload.document.timestamp_ms,
            VerifyTime::At(unix_ms) => unix_ms,
        };
        Ok(Self { envelope, payload, expectation, trust, time_ms })
    }

    fn checks(&self) -> impl Iterator<Item = Check> + use<'a> {
        let pcrs = self.expectation.pcrs.keys().map(|index| Check::Pcr(*index));
        [Check::Root, Check::Signature, Check::Path, Check::Mode, Check::Build]
            .into_iter()
            .chain(pcrs)
            .chain(iter::once(Check::Nonce))
    }

    fn judge(&self, check: Check) -> Result<(), Error> {
        let Self { envelope, payload, expectation, trust, time_ms } = self;
        let document = &payload.document;
        match check {
            Check::Root => trust.admit(payload.root),
            Check::Signature => {
                chain::verify_signature(payload, &envelope.signed_bytes(), envelope.signature)
            }
            Check::Path => {
                chain::verify_path(payload, UnixTime::since_unix_epoch(Duration::from_millis(*time_ms)))
            }
            Check::Mode => expectation.meet_mode(document),
            Check::Build => expectation.meet_build(document),
            Check::Pcr(index) => expectation.meet_pcr(index, document),
            Check::Nonce => expectation.meet_nonce(document),
        }
    }
}
