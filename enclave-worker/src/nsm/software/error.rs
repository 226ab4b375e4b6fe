//! Why the software NSM or its root failed.

/// Why the software NSM or its root failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A certificate cannot be made.
    #[error("cannot issue the {subject} certificate")]
    Issue {
        /// Whose certificate.
        subject: &'static str,
        /// What is wrong.
        #[source]
        source: rcgen::Error,
    },
    /// A time is outside of what certificates can express.
    #[error("{unix_ms} ms since the epoch is no time that a certificate can carry")]
    Time {
        /// The time.
        unix_ms: u64,
    },
    /// The file of the development root cannot be read or written.
    #[error("cannot read or write the development root {}", path.display())]
    RootFile {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The development root is larger than one can be.
    #[error("development root has {bytes} bytes, more than {limit}")]
    RootTooLarge {
        /// Its size.
        bytes: usize,
        /// The largest size accepted.
        limit: usize,
    },
    /// The development root is not a private key and a certificate in PEM.
    #[error("development root has no {section} in pem")]
    RootSection {
        /// The section that cannot be read.
        section: &'static str,
        /// What is wrong.
        #[source]
        source: rustls_pki_types::pem::Error,
    },
    /// The private key of the development root is not a P-384 key.
    #[error("private key of the development root is not a p-384 key")]
    RootKey(#[source] rcgen::Error),
    /// The private key is not the one that the certificate of the development root is for.
    #[error("private key of the development root does not belong to its certificate")]
    RootKeyMismatch,
    /// A fresh key cannot be used to sign documents.
    #[error("cannot use the leaf key")]
    LeafKey(#[source] aws_lc_rs::error::KeyRejected),
    /// The document of the emulated device cannot be read.
    #[error("attestation document of the device cannot be read")]
    DeviceDocument,
    /// The document cannot be signed.
    #[error("cannot sign the attestation document")]
    Signature,
    /// The operating system gives no randomness.
    #[error("cannot draw randomness")]
    Randomness,
}
