//! `nsl authority grant`

use clap::Args;
use nsl_client::authority::{self, GrantTerms, parse_scope};
use nsl_client::prepared::unix_now_ms;
use nsl_client::statement::Unsigned;
use nsl_schemas::authority::Scope;
use nsl_schemas::envelope::CLOCK_SKEW_MS_MAX;
use nsl_schemas::nkey::PublicKey;
use nsl_schemas::token::Tenant;

use super::signing::Signing;
use super::subject;
use crate::error::Error;
use crate::outcome::Outcome;
use crate::session::Invocation;

/// Longest grant: ten years, after which somebody should look at it again.
const DAYS_MAX: u64 = 3650;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Let a key issue commands, signed by the tenant's root.
#[derive(Debug, Args)]
pub(crate) struct Grant {
    /// Whose commands (U…).
    #[arg(value_parser = PublicKey::parse)]
    key: PublicKey,
    /// For people and logs, as "payments service".
    #[arg(long)]
    label: String,
    /// What, as wallet/*/request-transfer; repeat it for more.
    #[arg(long, value_name = "AGGREGATE/ID/VERB", required = true, value_parser = parse_scope)]
    scope: Vec<Scope>,
    /// For how many days from now.
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u64).range(1..=DAYS_MAX))]
    days: u64,
    /// The tenant that grants; by default the context's.
    #[arg(long)]
    tenant: Option<Tenant>,
    #[command(flatten)]
    signing: Signing,
}

impl Grant {
    pub(crate) async fn run(self, invocation: &Invocation) -> Result<Outcome, Error> {
        let Self { key, label, scope, days, tenant, signing } = self;
        let session = invocation.connect().await?;
        let tenant = tenant.unwrap_or_else(|| session.tenant().clone());
        let genesis = session.genesis()?.statement;
        let now_ms = unix_now_ms();
        let terms = GrantTerms {
            key,
            label,
            scopes: scope,
            // The service's clock may be behind ours.
            not_before_ms: now_ms.saturating_sub(CLOCK_SKEW_MS_MAX),
            expires_at_ms: now_ms + days * DAY_MS,
        };
        let make = |_: &_| Ok(Unsigned::IssuerGrant(authority::issuer_grant(&genesis, &tenant, terms)?));
        signing.conclude(&session, &subject(&tenant, "grant"), make).await
    }
}
