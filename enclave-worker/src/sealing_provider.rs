//! Where the sealing key comes from. The manifest names the provider; a build has those of its features.

#[cfg(feature = "development")]
use std::{fs::File, io::Read, path::Path, path::PathBuf};

use nsl_enclave_protocol::Endpoint;
use nsl_schemas::authority::SealingProvider;

use crate::genesis::Genesis;
use crate::kms::{self, Kms};
#[cfg(feature = "development")]
use crate::locked::{self, LockedBytes};
use crate::seal::SealingKey;
#[cfg(feature = "development")]
use crate::seal::{self, SEALING_SECRET_BYTES};
use crate::sealing::Keyring;

/// The providers of this build, for errors.
const AVAILABLE: &str = if cfg!(feature = "development") {
    "aws-kms, custodian-quorum, development"
} else {
    "aws-kms, custodian-quorum"
};

/// What a worker is given to obtain its sealing key with.
#[derive(Debug, Default)]
pub struct Sources {
    /// Where the host relays to KMS.
    pub kms_relay: Option<Endpoint>,
    /// The file of the development provider: 32 bytes.
    #[cfg(feature = "development")]
    pub development_key_file: Option<PathBuf>,
}

/// Why there is no sealing key.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The provider is not part of this build.
    #[error(
        "genesis manifest asks for the sealing provider {provider:?}, and this build has: {AVAILABLE} (the provider \
         \"development\" is in builds with the feature `development` only)"
    )]
    NotBuilt {
        /// The one asked for.
        provider: &'static str,
    },
    /// The development provider has no file.
    #[cfg(feature = "development")]
    #[error("the sealing provider \"development\" needs --development-sealing-key")]
    NoFile,
    /// The file cannot be read.
    #[cfg(feature = "development")]
    #[error("cannot read the sealing key {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is not a key.
    #[cfg(feature = "development")]
    #[error("sealing key {} is not exactly {SEALING_SECRET_BYTES} bytes", path.display())]
    Length {
        /// The file.
        path: PathBuf,
    },
    /// The key has no place.
    #[cfg(feature = "development")]
    #[error(transparent)]
    Locked(#[from] locked::Error),
    /// The key cannot be derived.
    #[cfg(feature = "development")]
    #[error(transparent)]
    Derive(#[from] seal::Error),
    /// The worker was told no way to KMS.
    #[error("the sealing provider \"aws-kms\" needs --kms-relay")]
    NoRelay,
    /// KMS cannot be told from others.
    #[error(transparent)]
    Anchors(#[from] kms::AnchorError),
}

/// What a provider has at hand when a worker starts: keys, or the way to them.
#[derive(Debug, Default)]
pub struct Provided {
    /// The keys.
    pub keyring: Keyring,
    /// The way to KMS, where that is the provider.
    pub kms: Option<Kms>,
}

impl From<Keyring> for Provided {
    fn from(keyring: Keyring) -> Self {
        Self { keyring, kms: None }
    }
}

impl From<SealingKey> for Provided {
    fn from(key: SealingKey) -> Self {
        Keyring::from(key).into()
    }
}

/// Obtains what the provider of the manifest has at hand: custodians bring their keys later, and KMS is asked later.
pub fn obtain(genesis: &Genesis, sources: &Sources) -> Result<Provided, Error> {
    match &genesis.manifest().sealing_provider {
        SealingProvider::Development => Ok(development(genesis, sources)?.into()),
        SealingProvider::CustodianQuorum => Ok(Provided::default()),
        SealingProvider::AwsKms(manifest) => {
            let relay = sources.kms_relay.clone().ok_or(Error::NoRelay)?;
            let kms = Some(Kms::new(manifest.clone(), relay)?);
            Ok(Provided { kms, ..Provided::default() })
        }
    }
}

#[cfg(not(feature = "development"))]
fn development(_genesis: &Genesis, _sources: &Sources) -> Result<SealingKey, Error> {
    Err(Error::NotBuilt { provider: "development" })
}

#[cfg(feature = "development")]
fn development(genesis: &Genesis, sources: &Sources) -> Result<SealingKey, Error> {
    let path = sources.development_key_file.as_deref().ok_or(Error::NoFile)?;
    Ok(SealingKey::derive(&read_secret(path)?, genesis.sha256())?)
}

#[cfg(feature = "development")]
fn read_secret(path: &Path) -> Result<LockedBytes, Error> {
    let failed = |source| Error::Read { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(failed)?;
    let (mut secret, mut more) = (LockedBytes::zeroed(SEALING_SECRET_BYTES)?, [0; 1]);
    match file.read_exact(&mut secret) {
        Ok(()) if file.read(&mut more).map_err(failed)? == 0 => Ok(secret),
        Ok(()) => Err(Error::Length { path: path.to_owned() }),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Err(Error::Length { path: path.to_owned() })
        }
        Err(source) => Err(failed(source)),
    }
}

#[cfg(all(test, not(feature = "development")))]
mod tests {
    use nsl_schemas::authority::{GenesisManifest, Quorum, Signed};
    use nsl_schemas::bytes::Sha256;
    use nsl_schemas::nkey::SigningKey;
    use nsl_verify::attestation::TrustRoot;

    use super::*;

    #[test]
    fn a_build_without_the_provider_says_which_it_has() {
        let key = SigningKey::from_seed(&[1; 32]);
        let manifest = GenesisManifest {
            log_origin: "test".into(),
            quorum: Quorum { threshold: 1, keys: vec![key.public()] },
            attestation_root_sha256: Sha256(TrustRoot::aws_nitro().sha256()),
            builds: vec![],
            sealing_provider: SealingProvider::Development,
            created_at_ms: 1,
        };
        let genesis = Genesis::obey(Signed::sign(manifest, &[&key])).unwrap();
        let error = obtain(&genesis, &Sources::default()).unwrap_err();
        assert!(
            error.to_string().contains("\"development\", and this build has: aws-kms, custodian-quorum"),
            "{error}"
        );
    }
}
