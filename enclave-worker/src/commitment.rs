//! PCR16: a worker extends it with its manifest's hash and locks it, so that its documents prove which manifest it
//! obeys, and no later process of the enclave can obey another.

use nsl_verify::attestation::manifest_pcr16;

use crate::genesis::Genesis;
use crate::nsm::{self, NsmHandle};

/// The register for the manifest: the first that is open at boot.
const MANIFEST_PCR: u16 = 16;

/// Why the worker cannot commit to its manifest.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The NSM did not do it.
    #[error("cannot commit to the genesis manifest in PCR16")]
    Nsm(#[from] nsm::Error),
    /// Something was measured into the register before.
    #[error("PCR16 was extended before this worker started")]
    Extended,
}

/// Commits to the manifest. A register that is locked already is left alone: whether it commits to this manifest
/// shows in the first attestation document, which the clock verifies before any work.
pub(crate) async fn commit(nsm: &NsmHandle, genesis: &Genesis) -> Result<(), Error> {
    if nsm.describe().await?.locked_pcrs.contains(&MANIFEST_PCR) {
        return Ok(());
    }
    let sha256 = genesis.sha256().0;
    if nsm.extend_pcr(MANIFEST_PCR, sha256.to_vec()).await? != manifest_pcr16(sha256) {
        return Err(Error::Extended);
    }
    nsm.lock_pcr(MANIFEST_PCR).await?;
    Ok(())
}
