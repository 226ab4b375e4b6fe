//! Certificate path and document signature, by webpki with P-384 and SHA-384 alone.

use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED, UnparsedPublicKey};
use rustls_pki_types::{
    AlgorithmIdentifier, CertificateDer, InvalidSignature, SignatureVerificationAlgorithm, UnixTime, alg_id,
};
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, anchor_from_trusted_cert};

use super::Error;
use super::document::Payload;

/// How every certificate of a Nitro chain is signed.
pub(super) const CERTIFICATE_ALGORITHM: &dyn SignatureVerificationAlgorithm =
    webpki::aws_lc_rs::ECDSA_P384_SHA384;

/// Verifies that the leaf's key signed `message`. Whether the leaf is to be believed is [`verify_path`]'s matter.
pub(super) fn verify_signature(payload: &Payload<'_>, message: &[u8], signature: &[u8]) -> Result<(), Error> {
    let certificate = CertificateDer::from(payload.certificate);
    read_leaf(&certificate)?
        .verify_signature(&EcdsaP384Sha384Fixed, message, signature)
        .map_err(|source| Error::Signature { source })
}

/// Verifies that the root in the document vouches for the leaf at `time`. Whether that root is the trusted one is
/// [`super::TrustRoot`]'s matter.
pub(super) fn verify_path(payload: &Payload<'_>, time: UnixTime) -> Result<(), Error> {
    let root = CertificateDer::from(payload.root);
    let certificate = CertificateDer::from(payload.certificate);
    let intermediates: Vec<_> = payload.intermediates.iter().map(|der| CertificateDer::from(*der)).collect();
    let anchor =
        anchor_from_trusted_cert(&root).map_err(|source| Error::Certificate { role: "root", source })?;
    let leaf = read_leaf(&certificate)?;

    let anchors = [anchor];
    let algorithms = [CERTIFICATE_ALGORITHM];
    let path = leaf
        .verify_for_usage(&algorithms, &anchors, &intermediates, time, AnyExtendedKeyUsage, None, None)
        .map_err(|source| Error::CertificatePath { source })?;
    // The path runs from the leaf's issuer upwards, the bundle from the root downwards.
    let used = path.intermediate_certificates().map(webpki::Cert::der);
    if !used.eq(intermediates.iter().rev().cloned()) {
        return Err(Error::CertificateOrder);
    }
    Ok(())
}

fn read_leaf<'a>(certificate: &'a CertificateDer<'a>) -> Result<EndEntityCert<'a>, Error> {
    EndEntityCert::try_from(certificate).map_err(|source| Error::Certificate { role: "leaf", source })
}

/// Nitro certificates name no extended key usage; their purpose follows from the pinned root.
struct AnyExtendedKeyUsage;

impl ExtendedKeyUsageValidator for AnyExtendedKeyUsage {
    fn validate(&self, mut usages: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        usages.try_for_each(|usage| usage.map(drop))
    }
}

/// ES384 as COSE has it: webpki's own algorithms take signatures in ASN.1, COSE's are `r ‖ s`.
#[derive(Debug)]
pub(super) struct EcdsaP384Sha384Fixed;

/// First byte of an uncompressed point (SEC 1 §2.3.3), the only form in Nitro certificates.
const POINT_UNCOMPRESSED: u8 = 0x04;

impl SignatureVerificationAlgorithm for EcdsaP384Sha384Fixed {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        if public_key.first() != Some(&POINT_UNCOMPRESSED) {
            return Err(InvalidSignature);
        }
        UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, public_key)
            .verify(message, signature)
            .map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_P384
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_SHA384
    }
}
