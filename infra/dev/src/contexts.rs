//! The command line's contexts for a local site, so that `nsl` works at once: one for each tenant, one for the operators.

use std::path::{Path, PathBuf};

use nsl_local_services::{
    NatsEndpoint, PrivateFileError, SiteDirectory, make_directory, read_bounded, write_private,
};
use nsl_schemas::token::Tenant;
use serde_json::{Map, Value, json};

use crate::ceremony::{DEMO_TENANT, Files, OPERATOR};
use crate::keys;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    File(#[from] PrivateFileError),
    #[error("{} is damaged; remove it and start the site again", path.display())]
    Damaged {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
}

/// The context that is selected at first.
const LOCAL: &str = "local";
/// The tenant whose events are everybody's.
const SYSTEM: &str = "system";

/// Writes the contexts of the first tenant and of the operators; returns the folder to use as `XDG_CONFIG_HOME`.
pub(crate) fn write(site: &SiteDirectory, nats: &NatsEndpoint, files: &Files) -> Result<PathBuf, Error> {
    let developer = keys::seed_file(site, keys::DEVELOPER);
    let operator = json!({
        "url": nats.server(),
        "tenant": SYSTEM,
        "user": OPERATOR,
        "password_file": password_file(site, nats, OPERATOR)?,
        "issuer_file": keys::seed_file(site, OPERATOR),
        "genesis_file": files.genesis,
    });
    let demo = tenant_context(site, nats, files, DEMO_TENANT, &developer)?;
    put(site, [(LOCAL, demo), (OPERATOR, operator)])
}

/// Adds the context of a further tenant, under its name.
pub(crate) fn add(
    site: &SiteDirectory,
    nats: &NatsEndpoint,
    files: &Files,
    tenant: &Tenant,
) -> Result<PathBuf, Error> {
    let developer = keys::seed_file(site, &keys::developer_of(tenant));
    let context = tenant_context(site, nats, files, tenant.as_str(), &developer)?;
    put(site, [(tenant.as_str(), context)])
}

fn tenant_context(
    site: &SiteDirectory,
    nats: &NatsEndpoint,
    files: &Files,
    tenant: &str,
    issuer: &Path,
) -> Result<Value, Error> {
    let user = NatsEndpoint::tenant_user(tenant);
    Ok(json!({
        "url": nats.server(),
        "tenant": tenant,
        "user": user,
        "password_file": password_file(site, nats, &user)?,
        "issuer_file": issuer,
        "genesis_file": files.genesis,
    }))
}

fn home(site: &SiteDirectory) -> PathBuf {
    site.path().join("config")
}

fn password_file(site: &SiteDirectory, nats: &NatsEndpoint, user: &str) -> Result<PathBuf, Error> {
    let folder = home(site).join("nsl");
    make_directory(&folder, 0o700)?;
    let file = folder.join(format!("{user}.password"));
    write_private(&file, nats.passwords.get(user).map_or("", String::as_str).as_bytes())?;
    Ok(file)
}

/// Puts contexts beside those that are there, which further tenants and the person at the keyboard have made.
fn put<'a>(site: &SiteDirectory, new: impl IntoIterator<Item = (&'a str, Value)>) -> Result<PathBuf, Error> {
    let path = home(site).join("nsl/contexts.json");
    let kept = match read_bounded(&path)? {
        Some(text) => {
            serde_json::from_str(&text).map_err(|source| Error::Damaged { path: path.clone(), source })?
        }
        None => json!({ "current": LOCAL }),
    };
    let Value::Object(mut contexts) = kept else { return Ok(home(site)) };
    let named = contexts.entry("contexts").or_insert_with(|| Map::new().into());
    if let Value::Object(named) = named {
        named.extend(new.into_iter().map(|(name, context)| (name.to_owned(), context)));
    }
    write_private(&path, Value::Object(contexts).to_string().as_bytes())?;
    Ok(home(site))
}
