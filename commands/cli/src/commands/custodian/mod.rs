//! `nsl custodian …`

mod found;
mod keygen;
mod provision;
mod reseal;
mod status;

use clap::Subcommand;
use nsl_schemas::sealing::SealingRecord;

use crate::error::Error;
use crate::outcome::Outcome;
use crate::session::{Invocation, Session};

/// Sealing keys that a quorum of custodians can bring back; the context's tenant is `system`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a custodian's key pair; the private key goes to a file that only you can read.
    Keygen(keygen::Keygen),
    /// Have a worker found a sealing key for its custodians, signed by the operators' quorum, and record it in the log.
    Found(found::Found),
    /// Give your share of a sealing key to a worker that proves to be of an allowed build.
    Provision(provision::Provision),
    /// Have every wallet's key sealed with the newest sealing key, while the wallets go on signing; until it asks for none.
    Reseal(reseal::Reseal),
    /// Show which workers have which sealing keys, and whose shares they wait for.
    Status,
}

impl Command {
    pub(crate) async fn run(self, invocation: &Invocation) -> Result<Outcome, Error> {
        match self {
            Self::Keygen(verb) => verb.run(),
            Self::Found(verb) => verb.run(invocation).await,
            Self::Provision(verb) => verb.run(invocation).await,
            Self::Reseal(verb) => verb.run(invocation).await,
            Self::Status => status::run(invocation).await,
        }
    }
}

/// The log's key of this epoch, by default the newest.
async fn record_of(session: &Session<'_>, epoch: Option<u32>) -> Result<SealingRecord, Error> {
    let mut records = session.client.sealing_records().await?;
    let found = match epoch {
        None => records.pop(),
        Some(epoch) => records.into_iter().find(|one| one.statement.order.statement.epoch == epoch),
    };
    found.ok_or_else(|| Error::Input("the log has no such sealing key".to_owned()))
}
