//! The manifest that a worker obeys, with what follows from it.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use nsl_schemas::authority::{Build, ChainError, GenesisManifest, GrantChain, Signed};
use nsl_schemas::bytes::Sha256;
use nsl_schemas::genesis;
use nsl_schemas::nkey::PublicKey;
use nsl_schemas::subject::CommandSubject;
use nsl_verify::attestation::{self, Expectation, TrustRoot};

use crate::chains::Chains;

/// Why there is no manifest to obey.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read the genesis file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file holds no manifest to trust.
    #[error("{} does not hold", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: genesis::Error,
    },
    /// This build does not accept the manifest's attestation root.
    #[error("attestation root of the genesis manifest is not accepted by this build")]
    Root(#[source] attestation::Error),
}

/// The manifest, checked.
#[derive(Debug)]
pub struct Genesis {
    manifest: GenesisManifest,
    sha256: Sha256,
    root: TrustRoot,
    chains: Chains,
}

impl Genesis {
    /// Reads a genesis file.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::Read { path: path.to_owned(), source };
        let mut bytes = Vec::new();
        let limit = u64::try_from(genesis::FILE_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
        File::open(path).map_err(failed)?.take(limit).read_to_end(&mut bytes).map_err(failed)?;
        let signed =
            genesis::parse(&bytes).map_err(|source| Error::Content { path: path.to_owned(), source })?;
        Self::obey(signed)
    }

    /// Takes a manifest that [`nsl_schemas::genesis::parse`] accepted.
    pub fn obey(signed: Signed<GenesisManifest>) -> Result<Self, Error> {
        let manifest = signed.statement;
        let root = TrustRoot::from_sha256(manifest.attestation_root_sha256.0).map_err(Error::Root)?;
        Ok(Self { sha256: manifest.sha256(), manifest, root, chains: Chains::default() })
    }

    /// What it says.
    pub fn manifest(&self) -> &GenesisManifest {
        &self.manifest
    }

    /// Its hash.
    pub fn sha256(&self) -> Sha256 {
        self.sha256
    }

    /// Whether `chain` leads from the manifest to `issuer` and lets it issue `subject` at `now_ms`.
    pub(crate) fn authorise(
        &self,
        chain: &GrantChain,
        issuer: PublicKey,
        subject: &CommandSubject,
        now_ms: u64,
    ) -> Result<(), ChainError> {
        self.chains.authorise(chain, &self.manifest, issuer, subject, now_ms)
    }

    /// Where attestation documents must come from.
    pub(crate) fn root(&self) -> &TrustRoot {
        &self.root
    }

    /// What it demands of a worker.
    pub(crate) fn expectation(&self) -> Expectation {
        Expectation::of_manifest(self.manifest.builds.iter().map(Build::measurements), self.sha256.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_file_that_cannot_be_read() {
        let error = Genesis::read(Path::new("/nonexistent/genesis.json")).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/genesis.json"), "{error}");
        let error = Genesis::read(Path::new("/dev/zero")).unwrap_err();
        assert!(matches!(error, Error::Content { source: genesis::Error::TooLarge { .. }, .. }), "{error:?}");
    }
}
