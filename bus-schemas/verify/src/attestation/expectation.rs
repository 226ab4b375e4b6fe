//! What a caller demands of an attestation document besides its authenticity.

use std::collections::BTreeMap;

use super::{AttestationDocument, Error, PCR_BYTES, Pcr, manifest_pcr16};

/// Index of the register that measures the whole enclave image.
const PCR_IMAGE: u8 = 0;
/// Index of the register that commits to the genesis manifest.
const PCR_MANIFEST: u8 = 16;

/// What a document must claim; the default admits no document at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expectation {
    /// The allowed builds, each as the PCRs it measures to: one of them must agree in every PCR it names.
    /// A build that does not name PCR0 agrees with nothing, so an empty list or map never admits a stranger.
    pub builds: Vec<BTreeMap<u8, Pcr>>,
    /// PCR16, where a worker commits to its manifest ([`super::manifest_pcr16`]); `None` leaves it open.
    pub pcr16: Option<Pcr>,
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
            pcr16: Some(manifest_pcr16(manifest_sha256)),
            nonce: None,
            allow_debug: false,
        }
    }

    /// Demands in addition that the document answers a challenge.
    #[must_use]
    pub fn answering(self, nonce: Vec<u8>) -> Self {
        Self { nonce: Some(nonce), ..self }
    }

    /// Compares the claims of an authentic document with what is demanded.
    pub(super) fn meet(&self, document: &AttestationDocument) -> Result<(), Error> {
        let pcr0 = document.pcrs.get(&PCR_IMAGE).ok_or(Error::MissingPcr { index: PCR_IMAGE })?;
        if *pcr0 == [0; PCR_BYTES] && !self.allow_debug {
            return Err(Error::DebugMode);
        }
        if !self.builds.iter().any(|build| agrees(build, document)) {
            return Err(Error::BuildNotAllowed { pcr0: hex::encode(pcr0) });
        }
        if let Some(expected) = self.pcr16 {
            let pcr16 = document.pcrs.get(&PCR_MANIFEST).ok_or(Error::MissingPcr { index: PCR_MANIFEST })?;
            if *pcr16 != expected {
                return Err(Error::ManifestMismatch { pcr16: hex::encode(pcr16) });
            }
        }
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
