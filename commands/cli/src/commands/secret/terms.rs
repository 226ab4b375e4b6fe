//! Who decides about a secret, and who reads it, as options.

use std::path::PathBuf;

use clap::Args;
use nsl_schemas::authority::Quorum;
use nsl_schemas::nkey::PublicKey;
use nsl_schemas::secret::SecretPolicy;

use crate::error::Error;
use crate::files;

/// A policy.
#[derive(Debug, Args)]
pub(super) struct Terms {
    /// The policy as JSON; or say it with the options below.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["reader", "reader_threshold", "owner", "owner_threshold"])]
    policy: Option<PathBuf>,
    /// Who may read (U…); repeat it for more. By default the context's issuer.
    #[arg(long, value_name = "KEY", value_parser = PublicKey::parse)]
    reader: Vec<PublicKey>,
    /// How many of the readers must sign to read.
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    reader_threshold: u8,
    /// Who decides about readers and destruction (U…); repeat it for more. By default the present owners, or the context's
    /// issuer.
    #[arg(long, value_name = "KEY", value_parser = PublicKey::parse)]
    owner: Vec<PublicKey>,
    /// How many of the owners must sign.
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    owner_threshold: u8,
}

impl Terms {
    /// The policy that is meant. Who puts a secret says who may read it: nothing of that is taken from a service's answer.
    pub(super) fn policy(self, issuer: PublicKey) -> Result<SecretPolicy, Error> {
        self.with_owners(issuer, None)
    }

    /// The policy that is meant, with the owners of `present` unless others are named.
    pub(super) fn change_of(self, issuer: PublicKey, present: &SecretPolicy) -> Result<SecretPolicy, Error> {
        self.with_owners(issuer, Some(present.owners.clone()))
    }

    fn with_owners(self, issuer: PublicKey, present: Option<Quorum>) -> Result<SecretPolicy, Error> {
        let Self { policy, reader, reader_threshold, owner, owner_threshold } = self;
        if let Some(path) = policy {
            return files::read_secret_policy(&path);
        }
        let quorum = |threshold, keys: Vec<PublicKey>| {
            let keys = if keys.is_empty() { vec![issuer] } else { keys };
            Quorum { threshold, keys }
        };
        let owners = match present {
            Some(present) if owner.is_empty() => present,
            _ => quorum(owner_threshold, owner),
        };
        Ok(SecretPolicy { owners, readers: quorum(reader_threshold, reader) })
    }
}
