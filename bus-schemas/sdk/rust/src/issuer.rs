//! The key that signs commands, read from its seed file.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use nsl_schemas::nkey::{self, SigningKey};
use zeroize::Zeroizing;

/// A seed file holds one line of 58 characters; more is a mistaken path.
const SEED_FILE_BYTES_MAX: u64 = 4096;

/// Mode bits of anybody but the owner.
const FOREIGN_MODE_BITS: u32 = 0o077;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read seed file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Others than its owner may read or write it.
    #[error("seed file {} is open to others (mode {mode:o}): make it 600", path.display())]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It holds no seed.
    #[error("seed file {} holds no SU… seed", path.display())]
    Seed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: nkey::Error,
    },
}

/// Reads the key from a file that only its owner can read.
pub fn read(path: &Path) -> Result<SigningKey, Error> {
    let failed = |source| Error::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
    if mode & FOREIGN_MODE_BITS != 0 {
        return Err(Error::Mode { path: path.to_owned(), mode });
    }
    let mut text = Zeroizing::new(String::new());
    file.take(SEED_FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    SigningKey::parse_seed(&text).map_err(|source| Error::Seed { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str, mode: u32) -> Result<SigningKey, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seed");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        read(&path)
    }

    #[test]
    fn a_seed_is_read_only_from_a_private_file() {
        let seed = [7; 32];
        let text = format!("{}\n", *SigningKey::seed_text(&seed));
        assert_eq!(written(&text, 0o600).unwrap().public(), SigningKey::from_seed(&seed).public());
        assert!(matches!(written(&text, 0o640), Err(Error::Mode { mode: 0o640, .. })));
        assert!(matches!(written("SUNOTHING", 0o600), Err(Error::Seed { .. })));
        assert!(matches!(read(Path::new("/nonexistent")), Err(Error::Read { .. })));
    }
}
