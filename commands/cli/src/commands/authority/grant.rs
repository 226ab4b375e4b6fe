//! `nsl authority grant`

use std::path::PathBuf;

use clap::Args;
use nsl_client::Prepared;
use nsl_client::authority::{self, GrantTerms, parse_scope};
use nsl_client::prepared::unix_now_ms;
use nsl_schemas::authority::{IssuerGrant, Scope};
use nsl_schemas::command::authority as command;
use nsl_schemas::envelope::CLOCK_SKEW_MS_MAX;
use nsl_schemas::nkey::PublicKey;
use nsl_schemas::subject::CommandSubject;
use nsl_schemas::token::Tenant;
use uuid::Uuid;

use super::subject;
use crate::error::Error;
use crate::files;
use crate::outcome::Outcome;
use crate::session::{Invocation, Session, payload};

/// Longest grant: ten years, after which somebody should look at it again.
const DAYS_MAX: u64 = 3650;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Let a key issue commands.
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
    /// The seed file of the tenant's root.
    #[arg(long, value_name = "FILE")]
    root_seed: PathBuf,
    /// The id of a command that was sent before, to send it again.
    #[arg(long)]
    id: Option<Uuid>,
}

impl Grant {
    pub(crate) async fn run(self, invocation: &Invocation) -> Result<Outcome, Error> {
        let session = invocation.connect().await?;
        let tenant = self.tenant.clone().unwrap_or_else(|| session.tenant().clone());
        let subject = subject(&tenant, "grant");
        let prepared = match session.kept(self.id, &subject)? {
            Some(prepared) => prepared,
            None => self.prepare(&session, &subject)?,
        };
        let IssuerGrant { key, label, .. } = payload::<command::Grant>(&prepared)?.grant.statement;
        let result = session.deliver(&prepared).await?;
        Ok(Outcome::IssuerGranted { key, label, command: result.into() })
    }

    fn prepare(self, session: &Session<'_>, subject: &CommandSubject) -> Result<Prepared, Error> {
        let Self { key, label, scope, days, tenant: _, root_seed, id } = self;
        let now_ms = unix_now_ms();
        let terms = GrantTerms {
            key,
            label,
            scopes: scope,
            // The service's clock may be behind ours.
            not_before_ms: now_ms.saturating_sub(CLOCK_SKEW_MS_MAX),
            expires_at_ms: now_ms + days * DAY_MS,
        };
        let genesis = session.genesis()?.statement;
        let payload = authority::grant(&genesis, &subject.tenant, terms, &files::read_seed(&root_seed)?)?;
        Ok(session.client.prepare_with_id(id.unwrap_or_else(Uuid::now_v7), subject, &payload)?)
    }
}
