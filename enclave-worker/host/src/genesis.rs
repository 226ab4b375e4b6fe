//! What the genesis manifest demands of a worker.

use std::path::{Path, PathBuf};

use nsl_schemas::authority::Operators;
use nsl_schemas::genesis;
use nsl_verify::attestation::{self, TrustRoot};
use tokio::fs::File;
use tokio::io::AsyncReadExt;

/// Why there is no manifest to judge by.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read genesis.file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file holds no manifest to trust.
    #[error("genesis.file {} does not hold", path.display())]
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

/// What every worker must prove.
#[derive(Debug, Clone)]
pub(crate) struct Demands {
    pub(crate) root: TrustRoot,
    /// Before the operators' first act.
    pub(crate) operators: Operators,
}

/// Reads the genesis file.
pub(crate) async fn read(path: &Path) -> Result<Demands, Error> {
    let failed = |source| Error::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = File::open(path).await.map_err(failed)?;
    file.take(genesis::FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).await.map_err(failed)?;
    let signed = genesis::parse(&bytes).map_err(|source| Error::Content { path: path.to_owned(), source })?;
    let manifest = signed.statement;
    Ok(Demands {
        root: TrustRoot::from_sha256(manifest.attestation_root_sha256.0).map_err(Error::Root)?,
        operators: Operators::of_genesis(&manifest),
    })
}
