//! `nsl authority establish-pool`

use clap::Args;
use nsl_schemas::nkey::PublicKey;
use nsl_schemas::query::{HostStatus, WorkerState, name};
use serde_json::json;

use super::operator_act;
use super::signing::Signing;
use crate::error::Error;
use crate::outcome::Outcome;
use crate::session::{Invocation, Session};

/// Let these workers endorse reservations from now on, signed by the operators: the first pool, and again when a
/// majority of the one before is lost. The heads that it starts with are each wallet's last reservation in the log as
/// it is now; sign only where you know that nobody took reservations away from it.
#[derive(Debug, Args)]
pub(crate) struct EstablishPool {
    /// A member, by the key that signs its outcomes (U…); by default all workers of the only host that serve.
    #[arg(long = "member", value_name = "KEY", value_parser = PublicKey::parse)]
    members: Vec<PublicKey>,
    #[command(flatten)]
    signing: Signing,
}

impl EstablishPool {
    pub(crate) async fn run(self, invocation: &Invocation) -> Result<Outcome, Error> {
        let Self { members, signing } = self;
        let act = {
            let session = invocation.connect().await?;
            let members = if members.is_empty() { serving(&session).await? } else { members };
            let manifest = session.genesis()?.statement;
            let operators = session.client.operators(&manifest).await?;
            for key in &members {
                session.client.registered_worker(*key, &manifest, &operators).await?;
            }
            session.client.pool_to_establish(&operators, members).await?
        };
        operator_act(invocation, "establish-pool", signing, |_| Ok(act)).await
    }
}

/// The workers that serve, if they are all of one host: a view's members are reached by one.
async fn serving(session: &Session<'_>) -> Result<Vec<PublicKey>, Error> {
    let hosts: Vec<HostStatus> =
        session.client.query_all(session.tenant(), name::WORKERS, &json!({})).await?;
    let serving = |host: HostStatus| {
        let workers = host.workers.into_iter().filter(|worker| worker.state == WorkerState::Serving);
        workers.filter_map(|worker| worker.key).collect::<Vec<_>>()
    };
    let mut pools = hosts.into_iter().map(serving).filter(|pool| !pool.is_empty());
    match (pools.next(), pools.next()) {
        (Some(pool), None) => Ok(pool),
        (None, _) => Err(Error::Input("no worker serves".to_owned())),
        (Some(_), Some(_)) => {
            let message = "workers of several hosts serve; name those of one of them with --member";
            Err(Error::Input(message.to_owned()))
        }
    }
}
