//! The genesis file: the signed manifest that a process is given at its start, checked against its own quorum.
//!
//! A manifest is trusted because its hash is (PCR16, event 1, a client's context); the quorum's signatures prove that
//! the holders of its keys agreed to it.

use crate::authority::{BUILDS_MAX, GenesisManifest, Signed};
use crate::canonical;

/// Largest genesis file: 32 builds and 16 keys with their signatures take 20 KiB.
pub const FILE_BYTES_MAX: usize = 64 * 1024;

/// Why a file is not a genesis file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Larger than any manifest.
    #[error("genesis file has {bytes} bytes, more than {FILE_BYTES_MAX}")]
    TooLarge {
        /// Its size, as far as it was read.
        bytes: usize,
    },
    /// Not a signed manifest in JSON.
    #[error("genesis file is not a signed manifest")]
    Content(#[source] canonical::Error),
    /// More builds than a manifest may list.
    #[error("genesis manifest lists {builds} builds, more than {BUILDS_MAX}")]
    Builds {
        /// How many.
        builds: usize,
    },
    /// The quorum that it names did not sign it.
    #[error("genesis manifest is not signed by its own quorum")]
    Unsigned,
}

/// Reads a genesis file's bytes. Read at most [`FILE_BYTES_MAX`] + 1 of them from an untrusted file.
pub fn parse(bytes: &[u8]) -> Result<Signed<GenesisManifest>, Error> {
    if bytes.len() > FILE_BYTES_MAX {
        return Err(Error::TooLarge { bytes: bytes.len() });
    }
    let signed: Signed<GenesisManifest> = canonical::from_slice(bytes).map_err(Error::Content)?;
    let builds = signed.statement.builds.len();
    if builds > BUILDS_MAX {
        return Err(Error::Builds { builds });
    }
    if !signed.is_signed_by(&signed.statement.quorum) {
        return Err(Error::Unsigned);
    }
    Ok(signed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::{Build, Quorum, SealingProvider};
    use crate::bytes::{Pcr, Sha256};
    use crate::nkey::SigningKey;

    fn manifest(builds: usize) -> GenesisManifest {
        let build = Build { name: "test".into(), pcr0: Pcr([0; 48]), pcr1: Pcr([1; 48]), pcr2: Pcr([2; 48]) };
        GenesisManifest {
            log_origin: "test".into(),
            quorum: Quorum { threshold: 1, keys: vec![SigningKey::from_seed(&[1; 32]).public()] },
            attestation_root_sha256: Sha256([0; 32]),
            builds: vec![build; builds],
            sealing_provider: SealingProvider::Development,
            created_at_ms: 1,
        }
    }

    fn file(manifest: GenesisManifest, seed: u8) -> Vec<u8> {
        canonical::to_string(&Signed::sign(manifest, &[&SigningKey::from_seed(&[seed; 32])])).into_bytes()
    }

    #[test]
    fn a_manifest_signed_by_its_quorum_is_read() {
        assert_eq!(parse(&file(manifest(1), 1)).unwrap().statement, manifest(1));
    }

    #[test]
    fn names_what_is_wrong_with_a_file() {
        assert!(matches!(parse(&file(manifest(1), 2)), Err(Error::Unsigned)));
        assert!(matches!(parse(&file(manifest(BUILDS_MAX + 1), 1)), Err(Error::Builds { builds: 33 })));
        assert!(matches!(parse(b"{}"), Err(Error::Content(_))));
        assert!(matches!(parse(&vec![b' '; FILE_BYTES_MAX + 1]), Err(Error::TooLarge { bytes: 65_537 })));
    }
}
