//! The key that signs this service's commands.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nsl_schemas::nkey::{self, SigningKey};
use tokio::fs::File;
use tokio::io::AsyncReadExt;

/// A seed file holds one line of 58 characters; more is a mistaken path.
const SEED_FILE_BYTES_MAX: u64 = 4096;
/// Permissions of anybody but the owner.
const MODE_OTHERS: u32 = 0o077;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read issuer.seed_file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Others than the owner may use the file.
    #[error("issuer.seed_file {} may be used by others than its owner: chmod 600", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
    },
    /// The file holds no seed.
    #[error("issuer.seed_file {} holds no SU… seed", path.display())]
    Seed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: nkey::Error,
    },
}

/// Reads a seed file.
pub(crate) async fn read(path: &Path) -> Result<SigningKey, Error> {
    let failed = |source| Error::Read { path: path.to_owned(), source };
    let file = File::open(path).await.map_err(failed)?;
    let mode = file.metadata().await.map_err(failed)?.permissions().mode();
    if mode & MODE_OTHERS != 0 {
        return Err(Error::Exposed { path: path.to_owned() });
    }
    let mut text = String::new();
    file.take(SEED_FILE_BYTES_MAX).read_to_string(&mut text).await.map_err(failed)?;
    SigningKey::parse_seed(&text).map_err(|source| Error::Seed { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use super::*;

    #[tokio::test]
    async fn a_seed_that_only_its_owner_can_read_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seed");
        assert!(matches!(read(&path).await, Err(Error::Read { .. })));
        fs::write(&path, format!("{}\n", &*SigningKey::seed_text(&[7; 32]))).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(read(&path).await, Err(Error::Exposed { .. })));
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read(&path).await.unwrap().public(), SigningKey::from_seed(&[7; 32]).public());
        fs::write(&path, "no seed").unwrap();
        assert!(matches!(read(&path).await, Err(Error::Seed { .. })));
    }
}
