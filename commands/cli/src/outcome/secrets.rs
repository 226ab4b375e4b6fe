//! How commands about secrets end well. None of them holds a secret.

use std::path::PathBuf;

use nsl_client::secret::SealedVersion;
use nsl_schemas::authority::Quorum;
use nsl_schemas::bytes::Sha256;
use nsl_schemas::query::{Page, Secret};
use nsl_schemas::result::CommandResult;
use nsl_schemas::token::AggregateId;
use serde::Serialize;

use super::Recorded;
use super::human::{facts, page_table, recorded};

/// A version that is in force now.
#[derive(Debug, Serialize)]
pub(crate) struct SecretSealed {
    secret: AggregateId,
    version: u32,
    policy_sha256: Sha256,
    position: u64,
    command: Recorded,
}

impl SecretSealed {
    pub(crate) fn new(secret: AggregateId, sealed: &SealedVersion, result: CommandResult) -> Self {
        let &SealedVersion { version, policy_sha256, position } = sealed;
        Self { secret, version, policy_sha256, position, command: result.into() }
    }

    pub(super) fn human(&self, what: &str) -> String {
        let Self { secret, version, policy_sha256, position, command } = self;
        let told =
            facts(&[("policy sha256", policy_sha256.to_string()), ("sealed at", position.to_string())]);
        format!("{what} {secret}, version {version} is in force\n{told}\n{}", recorded(command))
    }
}

/// A secret that was read into a file.
#[derive(Debug, Serialize)]
pub(crate) struct SecretRead {
    pub(crate) secret: AggregateId,
    pub(crate) version: u32,
    pub(crate) file: PathBuf,
    pub(crate) bytes: usize,
    pub(crate) position: u64,
}

impl SecretRead {
    pub(super) fn human(&self) -> String {
        let Self { secret, version, file, bytes, position } = self;
        let file = file.display();
        format!("version {version} of secret {secret}, {bytes} bytes: {file} (read at position {position})")
    }
}

pub(super) fn table(page: &Page<Secret>) -> String {
    page_table(page, &["SECRET", "STATUS", "VERSION", "READERS", "READINGS"], |secret| {
        let Quorum { threshold, keys } = &secret.policy.readers;
        vec![
            secret.id.to_string(),
            secret.status.clone(),
            secret.version.to_string(),
            format!("{threshold} of {}", keys.len()),
            secret.readings.to_string(),
        ]
    })
}

pub(super) fn shown(secret: &Secret) -> String {
    let quorum = |quorum: &Quorum| {
        let keys: Vec<_> = quorum.keys.iter().map(ToString::to_string).collect();
        format!("{} of {}", quorum.threshold, keys.join(", "))
    };
    facts(&[
        ("secret", secret.id.to_string()),
        ("status", secret.status.clone()),
        ("version", secret.version.to_string()),
        ("owners", quorum(&secret.policy.owners)),
        ("readers", quorum(&secret.policy.readers)),
        ("policy sha256", secret.policy.sha256().to_string()),
        ("readings", secret.readings.to_string()),
        ("last reading", secret.last_reading_id.map_or_else(String::new, |id| id.to_string())),
        ("position", secret.position.to_string()),
    ])
}
