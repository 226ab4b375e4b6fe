//! The certificate authority of a development site, which stands where AWS' root stands in production.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PKCS_ECDSA_P384_SHA384};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

use super::Error;
use super::certificates::validity;

/// How long a site's root is valid; verifiers pin it and do not ask.
const VALID_MS: u64 = 10 * 365 * DAY_MS;
/// The root begins a day early, so that processes whose clocks differ agree on it.
const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// Largest PEM text read: a key and a certificate take about a kilobyte.
const PEM_BYTES_MAX: usize = 16_384;
/// Characters in a line of PEM (RFC 7468 §2).
const PEM_LINE_CHARS: usize = 64;
/// The name in the root's certificate and in those that it issues.
const COMMON_NAME: &str = "Neo Service Layer development root";

/// Key and certificate of a site's root; whoever has the bytes can imitate any worker of the site.
pub struct DevelopmentRoot {
    key: KeyPair,
    certificate: Vec<u8>,
}

impl DevelopmentRoot {
    /// A new root, made once for a site.
    pub fn generate(now_ms: u64) -> Result<Self, Error> {
        let issue = |source| Error::Issue { subject: "root", source };
        let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).map_err(issue)?;
        let mut parameters = parameters();
        validity(&mut parameters, now_ms.saturating_sub(DAY_MS), now_ms.saturating_add(VALID_MS))?;
        let certificate = parameters.self_signed(&key).map_err(issue)?.der().to_vec();
        Ok(Self { key, certificate })
    }

    /// Reads a file with what [`Self::to_pem`] wrote.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::RootFile { path: path.to_owned(), source };
        let mut pem = Zeroizing::new(Vec::with_capacity(PEM_BYTES_MAX + 1));
        let file = File::open(path).map_err(failed)?;
        file.take(PEM_BYTES_MAX as u64 + 1).read_to_end(&mut pem).map_err(failed)?;
        Self::from_pem(&pem)
    }

    /// Writes a new file that only its owner can read.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let failed = |source| Error::RootFile { path: path.to_owned(), source };
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
        file.write_all(self.to_pem().as_bytes()).map_err(failed)
    }

    /// Reads what [`Self::to_pem`] wrote.
    pub fn from_pem(pem: &[u8]) -> Result<Self, Error> {
        if pem.len() > PEM_BYTES_MAX {
            return Err(Error::RootTooLarge { bytes: pem.len(), limit: PEM_BYTES_MAX });
        }
        let key = PrivatePkcs8KeyDer::from_pem_slice(pem)
            .map_err(|source| Error::RootSection { section: "private key", source })?;
        let certificate = CertificateDer::from_pem_slice(pem)
            .map_err(|source| Error::RootSection { section: "certificate", source })?;
        let key =
            KeyPair::from_pkcs8_der_and_sign_algo(&key, &PKCS_ECDSA_P384_SHA384).map_err(Error::RootKey)?;
        // A certificate contains its key's point as it is.
        let point = key.public_key_raw();
        if !certificate.windows(point.len()).any(|window| window == point) {
            return Err(Error::RootKeyMismatch);
        }
        Ok(Self { key, certificate: certificate.to_vec() })
    }

    /// The private key and the certificate, to be kept in a file that only the site's workers can read.
    pub fn to_pem(&self) -> Zeroizing<String> {
        let mut pem = Zeroizing::new(String::with_capacity(PEM_BYTES_MAX));
        write_section(&mut pem, "PRIVATE KEY", self.key.serialized_der());
        write_section(&mut pem, "CERTIFICATE", &self.certificate);
        pem
    }

    /// The certificate in DER.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// SHA-256 of the certificate's DER, by which verifiers trust the root.
    pub fn sha256(&self) -> [u8; 32] {
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(digest(&SHA256, &self.certificate).as_ref());
        sha256
    }

    /// What signs the certificates below the root.
    pub(super) fn issuer(&self) -> Issuer<'static, &KeyPair> {
        Issuer::new(parameters(), &self.key)
    }
}

fn parameters() -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, COMMON_NAME);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters
}

pub(super) fn write_section(pem: &mut String, label: &str, der: &[u8]) {
    let body = Zeroizing::new(STANDARD.encode(der));
    pem.extend(["-----BEGIN ", label, "-----\n"]);
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, next) = rest.split_at(rest.len().min(PEM_LINE_CHARS));
        pem.extend([line, "\n"]);
        rest = next;
    }
    pem.extend(["-----END ", label, "-----\n"]);
}
