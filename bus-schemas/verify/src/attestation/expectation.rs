//! What a caller demands of an attestation document besides its authenticity.

use std::collections::BTreeMap;

use super::document::PCR_IMAGE;
use super::{AttestationDocument, Error, Pcr, manifest_pcr16};

/// Index of the register that commits to the genesis manifest.
const PCR_MANIFEST: u8 = 16;

/// What a document must claim; the default admits no document at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expectation {
    /// The allowed builds, each as the PCRs it measures to: one of them must agree in every PCR it names.
    /// A build that does not name PCR0 agrees with nothing, so an empty list or map never admits a stranger.
    pub builds: Vec<BTreeMap<u8, Pcr>>,
    /// Registers that must have these values, whatever the build: PCR3 (the parent's role), PCR4 (the instance), PCR8
    /// (the image's signer), PCR16, where a worker commits to its manifest ([`super::manifest_pcr16`]), or any other.
    pub pcrs: BTreeMap<u8, Pcr>,
    /// The challenge that the document must carry; `None` leaves freshness to the caller.
    pub nonce: Option<Vec<u8>>,
    /// Admits enclaves in debug mode. No other check is waived: their zero PCR0 must be an allowed build too.
    pub allow_debug: bool,
}

impl Expectation {
    /// What a genesis manifest demands of its workers: one of its builds, each given as PCR0 to PCR2, and a PCR16 that
    /// commits to the manifest.
    pub fn of_manifest(builds: impl IntoIterator<Item = [Pcr; 3]>, manifest_sha256: [u8; 32]) -> Self {
        Self {
            builds: builds.into_iter().map(|measured| (0..).zip(measured).collect()).collect(),
            pcrs: BTreeMap::from([(PCR_MANIFEST, manifest_pcr16(manifest_sha256))]),
            nonce: None,
            allow_debug: false,
        }
    }

    /// Demands in addition that the document answers a challenge.
    #[must_use]
    pub fn answering(self, nonce: Vec<u8>) -> Self {
        Self { nonce: Some(nonce), ..self }
    }

    /// Whether the enclave is not in debug mode, or may be.
    pub(super) fn meet_mode(&self, document: &AttestationDocument) -> Result<(), Error> {
        if document.is_debug()? && !self.allow_debug {
            return Err(Error::DebugMode);
        }
        Ok(())
    }

    /// Whether the document measures an allowed build.
    pub(super) fn meet_build(&self, document: &AttestationDocument) -> Result<(), Error> {
        if self.builds.iter().any(|build| agrees(build, document)) {
            return Ok(());
        }
        Err(Error::BuildNotAllowed { pcr0: hex::encode(document.pcr(PCR_IMAGE)?) })
    }

    /// Whether a register has the value that is demanded of it, if one is.
    pub(super) fn meet_pcr(&self, index: u8, document: &AttestationDocument) -> Result<(), Error> {
        let Some(expected) = self.pcrs.get(&index) else { return Ok(()) };
        let found = document.pcr(index)?;
        if found == expected {
            return Ok(());
        }
        Err(Error::PcrMismatch { index, found: hex::encode(found) })
    }

    /// Whether the document answers the challenge, if there is one.
    pub(super) fn meet_nonce(&self, document: &AttestationDocument) -> Result<(), Error> {
        if self.nonce.is_some() && self.nonce != document.nonce {
            return Err(Error::NonceMismatch);
        }
        Ok(())
    }
}

fn agrees(build: &BTreeMap<u8, Pcr>, document: &AttestationDocument) -> bool {
    build.contains_key(&PCR_IMAGE)
        && build.iter().all(|(index, value)| document.pcrs.get(index) == Some(value))
}
