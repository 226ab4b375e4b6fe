//! The genesis file: the signed manifest that a process is given at its start, checked against its own quorum.
//!
//! A manifest is trusted because its hash is (PCR16, event 1, a client's context); the quorum's signatures prove that
//! the holders of its keys agreed to it.

use crate::authority::{BUILDS_MAX, GenesisManifest, SealingProvider, Signed};
use crate::canonical;
use crate::kms::{TRUST_ANCHOR_BYTES_MAX, TRUST_ANCHORS_MAX};

/// Largest genesis file: 32 builds, 16 keys with their signatures and trust anchors of KMS take 42 KiB.
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
    /// More, or longer, trust anchors of KMS than a manifest may have.
    #[error(
        "genesis manifest has more than {TRUST_ANCHORS_MAX} trust anchors, or one of more than {TRUST_ANCHOR_BYTES_MAX} bytes"
    )]
    TrustAnchors,
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
    if matches!(&signed.statement.sealing_provider, SealingProvider::AwsKms(kms) if !kms.is_bounded()) {
        return Err(Error::TrustAnchors);
    }
    if !signed.is_signed_by(&signed.statement.quorum) {
        return Err(Error::Unsigned);
    }
    Ok(signed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::{Build, Quorum};
    use crate::bytes::{Base64, Pcr, Sha256};
    use crate::kms::{AwsKms, HostName, KeyArn};
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

    /// A manifest that seals by KMS with these trust anchors.
    fn of_kms(trust_anchors: Vec<Base64>) -> GenesisManifest {
        let endpoint = HostName::parse("kms.eu-central-1.amazonaws.com").unwrap();
        let key_arn = KeyArn::parse("arn:aws:kms:eu-central-1:111122223333:key/1").unwrap();
        let sealing_provider = SealingProvider::AwsKms(AwsKms { endpoint, key_arn, trust_anchors });
        GenesisManifest { sealing_provider, ..manifest(1) }
    }

    #[test]
    fn kms_is_named_with_few_trust_anchors_or_none() {
        let text = String::from_utf8(file(of_kms(vec![]), 1)).unwrap();
        let named = r#""sealing_provider":{"aws-kms":{"endpoint":"kms.eu-central-1.amazonaws.com","key_arn":"arn:aws:kms:eu-central-1:111122223333:key/1"}}"#;
        assert!(text.contains(named), "{text}");
        let anchor = || Base64(vec![0; TRUST_ANCHOR_BYTES_MAX]);
        assert!(parse(&file(of_kms(vec![anchor(); TRUST_ANCHORS_MAX]), 1)).is_ok());
        let long = Base64(vec![0; TRUST_ANCHOR_BYTES_MAX + 1]);
        for wrong in [vec![anchor(); TRUST_ANCHORS_MAX + 1], vec![long]] {
            assert!(matches!(parse(&file(of_kms(wrong), 1)), Err(Error::TrustAnchors)));
        }
    }

    #[test]
    fn names_what_is_wrong_with_a_file() {
        assert!(matches!(parse(&file(manifest(1), 2)), Err(Error::Unsigned)));
        assert!(matches!(parse(&file(manifest(BUILDS_MAX + 1), 1)), Err(Error::Builds { builds: 33 })));
        assert!(matches!(parse(b"{}"), Err(Error::Content(_))));
        assert!(matches!(parse(&vec![b' '; FILE_BYTES_MAX + 1]), Err(Error::TooLarge { bytes: 65_537 })));
    }
}
