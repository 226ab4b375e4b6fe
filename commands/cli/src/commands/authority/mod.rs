//! `nsl authority …`

mod genesis_show;
mod grant;
mod register_root;

use clap::Subcommand;
use nsl_schemas::command::authority::AUTHORITY_ID;
use nsl_schemas::subject::CommandSubject;
use nsl_schemas::token::{AggregateId, AggregateType, Tenant, Verb};

use crate::error::Error;
use crate::outcome::Outcome;
use crate::session::Invocation;

/// Who may issue commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show the genesis manifest of the context and check its signatures.
    GenesisShow,
    /// Name a tenant's root key, signed by the genesis quorum.
    RegisterRoot(register_root::RegisterRoot),
    /// Let a key issue commands, signed by the tenant's root.
    Grant(grant::Grant),
}

impl Command {
    pub(crate) async fn run(self, invocation: &Invocation) -> Result<Outcome, Error> {
        match self {
            Self::GenesisShow => genesis_show::run(invocation),
            Self::RegisterRoot(verb) => verb.run(invocation).await,
            Self::Grant(verb) => verb.run(invocation).await,
        }
    }
}

fn subject(tenant: &Tenant, verb: &str) -> CommandSubject {
    let literal = "a literal of permitted characters";
    CommandSubject {
        tenant: tenant.clone(),
        aggregate: AggregateType::parse("authority").expect(literal),
        id: AggregateId::parse(AUTHORITY_ID).expect(literal),
        verb: Verb::parse(verb).expect(literal),
    }
}
