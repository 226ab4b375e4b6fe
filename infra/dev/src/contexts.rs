//! The command line's context for a local site, so that `nsl` works at once.

use std::path::PathBuf;

use nsl_local_services::{PrivateFileError, Site, make_directory, write_private};
use serde_json::json;

use crate::ceremony::{DEMO_TENANT, Files};
use crate::keys;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    File(#[from] PrivateFileError),
    #[error("NATS is not running")]
    NoBus,
}

/// Writes the context and returns the folder to use as `XDG_CONFIG_HOME`.
pub(crate) fn write(site: &Site, files: &Files) -> Result<PathBuf, Error> {
    let nats = site.endpoints().nats.as_ref().ok_or(Error::NoBus)?;
    let home = site.directory().path().join("config");
    let folder = home.join("nsl");
    make_directory(&folder, 0o700)?;
    let password = folder.join("client.password");
    write_private(&password, nats.passwords.get("client").cloned().unwrap_or_default().as_bytes())?;
    let context = json!({
        "url": nats.server(),
        "tenant": DEMO_TENANT,
        "user": "client",
        "password_file": password,
        "issuer_file": keys::seed_file(site.directory(), keys::DEVELOPER),
        "genesis_file": files.genesis,
    });
    let contexts = json!({ "current": "local", "contexts": { "local": context } });
    write_private(&folder.join("contexts.json"), contexts.to_string().as_bytes())?;
    Ok(home)
}
