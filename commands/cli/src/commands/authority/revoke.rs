//! `nsl authority revoke`

use clap::Args;
use nsl_client::prepared::unix_now_ms;
use nsl_client::statement::Unsigned;
use nsl_schemas::authority::{GrantRevocation, Operators};
use nsl_schemas::nkey::PublicKey;
use nsl_schemas::token::Tenant;

use super::signing::Signing;
use super::subject;
use crate::error::Error;
use crate::outcome::Outcome;
use crate::session::Invocation;

/// Take back what a key was let, signed by the tenant's root.
#[derive(Debug, Args)]
pub(crate) struct Revoke {
    /// Whose grants end (U…).
    #[arg(value_parser = PublicKey::parse)]
    key: PublicKey,
    /// The tenant that granted; by default the context's.
    #[arg(long)]
    tenant: Option<Tenant>,
    /// Every grant that begins by this time ends, in Unix milliseconds; by default now.
    #[arg(long, value_name = "UNIX_MS")]
    until: Option<u64>,
    #[command(flatten)]
    signing: Signing,
}

impl Revoke {
    pub(crate) async fn run(self, invocation: &Invocation) -> Result<Outcome, Error> {
        let Self { key, tenant, until, signing } = self;
        let session = invocation.connect().await?;
        let tenant = tenant.unwrap_or_else(|| session.tenant().clone());
        let revoked_at_ms = until.unwrap_or_else(unix_now_ms);
        let make = |operators: &Operators| {
            let genesis_sha256 = operators.genesis_sha256();
            let tenant = tenant.clone();
            Ok(Unsigned::GrantRevocation(GrantRevocation { genesis_sha256, key, revoked_at_ms, tenant }))
        };
        signing.conclude(&session, &subject(&tenant, "revoke"), make).await
    }
}
