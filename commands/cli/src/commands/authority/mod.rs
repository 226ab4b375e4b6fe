//! `nsl authority …`

mod allow_build;
mod attest;
mod establish_pool;
mod genesis_show;
mod grant;
mod register_root;
mod replace_quorum;
mod revoke;
mod revoke_build;
mod revoke_worker;
mod show;
mod sign;
mod signing;
mod submit;

use clap::Subcommand;
use nsl_client::prepared::unix_now_ms;
use nsl_client::statement::Unsigned;
use nsl_schemas::authority::{OperatorAct, Operators};
use nsl_schemas::command::authority::AUTHORITY_ID;
use nsl_schemas::subject::CommandSubject;
use nsl_schemas::token::{AggregateId, AggregateType, Tenant, Verb};

use self::signing::Signing;
use crate::error::Error;
use crate::outcome::Outcome;
use crate::session::Invocation;

/// Who may issue commands, and what may hold keys.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show the genesis manifest of the context and check its signatures.
    GenesisShow,
    /// Show what the operators decided since, checked from the manifest on.
    Show,
    /// Challenge a worker, and check its build, its commitment to the manifest and its key.
    Attest,
    /// Name a tenant's root key, signed by the operators.
    RegisterRoot(register_root::RegisterRoot),
    /// Let a key issue commands, signed by the tenant's root.
    Grant(grant::Grant),
    /// Take back what a key was let, signed by the tenant's root.
    Revoke(revoke::Revoke),
    /// Let a measured build hold keys, signed by the operators.
    AllowBuild(allow_build::AllowBuild),
    /// Let a measured build hold keys no longer, signed by the operators.
    RevokeBuild(revoke_build::RevokeBuild),
    /// Take no more reports of a worker, signed by the operators.
    RevokeWorker(revoke_worker::RevokeWorker),
    /// Let other operators sign from now on, signed by the old ones and the new.
    ReplaceQuorum(replace_quorum::ReplaceQuorum),
    /// Let these workers endorse reservations, signed by the operators.
    EstablishPool(establish_pool::EstablishPool),
    /// Sign a statement that was written to a file.
    Sign(sign::Sign),
    /// Deliver a statement with its signatures.
    Submit(submit::Submit),
}

impl Command {
    pub(crate) async fn run(self, invocation: &Invocation) -> Result<Outcome, Error> {
        match self {
            Self::GenesisShow => genesis_show::run(invocation),
            Self::Show => show::run(invocation).await,
            Self::Attest => attest::run(invocation).await,
            Self::RegisterRoot(verb) => verb.run(invocation).await,
            Self::Grant(verb) => verb.run(invocation).await,
            Self::Revoke(verb) => verb.run(invocation).await,
            Self::AllowBuild(verb) => verb.run(invocation).await,
            Self::RevokeBuild(verb) => verb.run(invocation).await,
            Self::RevokeWorker(verb) => verb.run(invocation).await,
            Self::ReplaceQuorum(verb) => verb.run(invocation).await,
            Self::EstablishPool(verb) => verb.run(invocation).await,
            Self::Sign(verb) => verb.run(),
            Self::Submit(verb) => verb.run(invocation).await,
        }
    }
}

/// Makes the operators' next act and brings it on its way.
async fn operator_act(
    invocation: &Invocation,
    verb: &str,
    signing: Signing,
    act: impl FnOnce(&Operators) -> Result<OperatorAct, Error>,
) -> Result<Outcome, Error> {
    let session = invocation.connect().await?;
    let make =
        |operators: &Operators| Ok(Unsigned::OperatorAct(operators.next(act(operators)?, unix_now_ms())));
    signing.conclude(&session, &subject(&Tenant::system(), verb), make).await
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
