//! The site's command keys: each made once, kept as an NKEY seed in a file of mode 0600.

use std::path::{Path, PathBuf};

use nsl_local_services::{PrivateFileError, SiteDirectory, make_directory, read_bounded, write_private};
use nsl_schemas::nkey::{self, SigningKey};
use nsl_schemas::token::Tenant;
use nsl_verify::hpke;
use zeroize::Zeroizing;

use crate::ceremony::DEMO_TENANT;

/// The operators' quorum: one of one, here.
pub(crate) const QUORUM: &str = "quorum";
/// The root of the service's own tenant.
pub(crate) const SYSTEM_ROOT: &str = "system-root";
/// Who types the first commands, and owns the first wallet.
pub(crate) const DEVELOPER: &str = "developer";

/// The root of a tenant.
pub(crate) fn root_of(tenant: &Tenant) -> String {
    format!("{tenant}-root")
}

/// Who types a tenant's commands.
pub(crate) fn developer_of(tenant: &Tenant) -> String {
    if tenant.as_str() == DEMO_TENANT { DEVELOPER.to_owned() } else { format!("{tenant}-{DEVELOPER}") }
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    File(#[from] PrivateFileError),
    #[error("{} is not a seed; `cargo dev reset` begins anew", path.display())]
    Seed {
        path: PathBuf,
        #[source]
        source: nkey::Error,
    },
    #[error("{} is no custodian's key; `cargo dev reset` begins anew", path.display())]
    Custodian { path: PathBuf },
    #[error("the machine has no randomness to give")]
    Random,
}

/// The folder of all keys.
pub(crate) fn folder(site: &SiteDirectory) -> PathBuf {
    site.path().join("keys")
}

/// The seed file of `name`.
pub(crate) fn seed_file(site: &SiteDirectory, name: &str) -> PathBuf {
    folder(site).join(format!("{name}.seed"))
}

/// The key of `name`, made when it is asked for first.
pub(crate) fn obtain(site: &SiteDirectory, name: &str) -> Result<SigningKey, Error> {
    let path = seed_file(site, name);
    if let Some(text) = read_bounded(&path)? {
        return SigningKey::parse_seed(&text).map_err(|source| Error::Seed { path, source });
    }
    make_directory(&folder(site), 0o700)?;
    let seed = random()?;
    write_private(&path, SigningKey::seed_text(&seed).as_bytes())?;
    Ok(SigningKey::from_seed(&seed))
}

/// The key of a custodian, made when it is asked for first, in a file as `nsl custodian keygen` makes it.
pub(crate) fn obtain_custodian(site: &SiteDirectory, name: &str) -> Result<hpke::PrivateKey, Error> {
    let path = folder(site).join(format!("{name}.key"));
    if let Some(text) = read_bounded(&path)? {
        let mut secret = Zeroizing::new([0; hpke::KEY_BYTES]);
        let decoded = hex::decode_to_slice(text.trim(), secret.as_mut_slice());
        let key = decoded.ok().and_then(|()| hpke::PrivateKey::from_secret(secret).ok());
        return key.ok_or(Error::Custodian { path });
    }
    let secret = random()?;
    write_private(&path, hex::encode(secret).as_bytes())?;
    hpke::PrivateKey::from_secret(Zeroizing::new(secret)).map_err(|_| Error::Custodian { path })
}

/// A file of 32 random bytes, made when it is asked for first.
pub(crate) fn obtain_bytes(path: &Path) -> Result<(), Error> {
    if !path.exists() {
        write_private(path, &random()?)?;
    }
    Ok(())
}

fn random() -> Result<[u8; 32], Error> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Error::Random)?;
    Ok(bytes)
}
