//! Why an attestation document is refused.

/// Why an attestation document, or a trust root for one, is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The document is larger than any real one.
    #[error("attestation document has {bytes} bytes, more than {limit}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The largest size accepted.
        limit: usize,
    },
    /// A part of the document is not the CBOR that its format prescribes.
    #[error("{part} of the attestation document is malformed")]
    Malformed {
        /// The part: envelope, protected header or payload.
        part: &'static str,
        /// Where and why.
        #[source]
        source: crate::CborError,
    },
    /// The document carries a CBOR tag that is not COSE_Sign1's.
    #[error("attestation document has the tag {tag}, not that of cose_sign1")]
    Tag {
        /// The tag found.
        tag: u64,
    },
    /// The signature algorithm is not ES384, the only one the NSM uses.
    #[error("signature algorithm {algorithm} is not es384 (-35)")]
    Algorithm {
        /// The COSE algorithm number found.
        algorithm: i64,
    },
    /// The signature is not two 48-byte integers.
    #[error("signature has {bytes} bytes instead of 96")]
    SignatureLength {
        /// Its size.
        bytes: usize,
    },
    /// A field stands twice in the payload.
    #[error("field {field:?} stands twice in the attestation document")]
    DuplicateField {
        /// The field's name.
        field: String,
    },
    /// A mandatory field is absent.
    #[error("field {field:?} is missing in the attestation document")]
    MissingField {
        /// The field's name.
        field: &'static str,
    },
    /// A mandatory field is empty or zero.
    #[error("field {field:?} of the attestation document is empty")]
    EmptyField {
        /// The field's name.
        field: &'static str,
    },
    /// The PCR bank is not of SHA384.
    #[error("digest {digest:?} of the PCR bank is not \"SHA384\"")]
    Digest {
        /// The digest named.
        digest: String,
    },
    /// A PCR index is outside of the bank.
    #[error("PCR index {index} is not below 32")]
    PcrIndex {
        /// The index found.
        index: u64,
    },
    /// A PCR stands twice in the payload.
    #[error("PCR{index} stands twice in the attestation document")]
    DuplicatePcr {
        /// The PCR's index.
        index: u8,
    },
    /// A PCR is not as long as a SHA-384 digest.
    #[error("PCR{index} has {bytes} bytes instead of 48")]
    PcrLength {
        /// The PCR's index.
        index: u8,
        /// Its size.
        bytes: usize,
    },
    /// A PCR that the verdict rests on is absent.
    #[error("PCR{index} is missing in the attestation document")]
    MissingPcr {
        /// The PCR's index.
        index: u8,
    },
    /// The root certificate is not the trusted one.
    #[error("root certificate with SHA-256 {sha256} is not trusted")]
    UntrustedRoot {
        /// SHA-256 of the root certificate's DER, in hexadecimal.
        sha256: String,
    },
    /// The root or leaf certificate cannot be read.
    #[error("{role} certificate is malformed")]
    Certificate {
        /// Which of them: root or leaf.
        role: &'static str,
        /// What is wrong with it.
        #[source]
        source: webpki::Error,
    },
    /// No valid path leads from the leaf certificate to the root at the time of verification.
    #[error("certificate path to the trusted root is not valid")]
    CertificatePath {
        /// What is wrong with it.
        #[source]
        source: webpki::Error,
    },
    /// The bundle holds certificates besides the path, or in another order.
    #[error("certificate bundle is not the ordered path from the root to the leaf's issuer")]
    CertificateOrder,
    /// The leaf's key did not sign this payload.
    #[error("signature does not match the leaf certificate and the payload")]
    Signature {
        /// What the check said.
        #[source]
        source: webpki::Error,
    },
    /// The enclave runs in debug mode: its console is readable and it measures nothing.
    #[error("enclave runs in debug mode (PCR0 is zero)")]
    DebugMode,
    /// The PCRs are those of no allowed build.
    #[error("build with PCR0 {pcr0} is not allowed")]
    BuildNotAllowed {
        /// PCR0 of the document, in hexadecimal.
        pcr0: String,
    },
    /// A register has another value than the one demanded.
    #[error("PCR{index} is {found}, not the expected value")]
    PcrMismatch {
        /// The PCR's index.
        index: u8,
        /// Its value in the document, in hexadecimal.
        found: String,
    },
    /// The document does not answer the challenge.
    #[error("nonce of the attestation document is not the expected one")]
    NonceMismatch,
}
