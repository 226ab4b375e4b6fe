//! `nsl authority register-root`

use clap::Args;
use nsl_client::authority;
use nsl_client::prepared::unix_now_ms;
use nsl_client::statement::Unsigned;
use nsl_schemas::nkey::PublicKey;
use nsl_schemas::token::Tenant;

use super::signing::Signing;
use super::subject;
use crate::error::Error;
use crate::outcome::Outcome;
use crate::session::Invocation;

/// Name a tenant's root key, signed by the operators.
#[derive(Debug, Args)]
pub(crate) struct RegisterRoot {
    /// The root's public key (U…).
    #[arg(value_parser = PublicKey::parse)]
    key: PublicKey,
    /// Whose root; by default the context's tenant.
    #[arg(long)]
    tenant: Option<Tenant>,
    #[command(flatten)]
    signing: Signing,
}

impl RegisterRoot {
    pub(crate) async fn run(self, invocation: &Invocation) -> Result<Outcome, Error> {
        let Self { key, tenant, signing } = self;
        let session = invocation.connect().await?;
        let tenant = tenant.unwrap_or_else(|| session.tenant().clone());
        let make = |operators: &_| {
            Ok(Unsigned::TenantRoot(authority::tenant_root(operators, &tenant, key, unix_now_ms())))
        };
        signing.conclude(&session, &subject(&tenant, "register-root"), make).await
    }
}
