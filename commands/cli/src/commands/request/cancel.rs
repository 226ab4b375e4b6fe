//! `nsl request cancel`

use std::path::PathBuf;

use clap::Args;
use nsl_schemas::policy::RequestCancellation;
use nsl_schemas::token::AggregateId;
use uuid::Uuid;

use crate::error::Error;
use crate::files;
use crate::outcome::Outcome;
use crate::session::Invocation;

/// End a request that waits for approvals or a time lock, as an owner of its wallet.
#[derive(Debug, Args)]
pub(crate) struct Cancel {
    /// The wallet.
    wallet: AggregateId,
    /// The request's id: that of the command that asked for the transfer or the change of policy.
    request: Uuid,
    /// The seed file of an owner that the wallet's policy names.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The id of a command that was sent before, to send it again.
    #[arg(long)]
    id: Option<Uuid>,
}

impl Cancel {
    pub(crate) async fn run(self, invocation: &Invocation) -> Result<Outcome, Error> {
        let Self { wallet, request, key, id } = self;
        let session = invocation.connect().await?;
        let subject = session.client.subject("wallet", &wallet, "cancel-request")?;
        let prepared = if let Some(prepared) = session.kept(id, &subject)? {
            prepared
        } else {
            let statement = RequestCancellation {
                genesis_sha256: session.genesis()?.statement.sha256(),
                request_id: request,
                tenant: session.tenant().clone(),
                wallet,
            };
            let owner = files::read_seed(&key)?;
            let command_id = id.unwrap_or_else(Uuid::now_v7);
            session.client.prepare_cancellation(command_id, statement, &owner)?
        };
        let result = session.deliver(&prepared).await?;
        Ok(Outcome::CommandAccepted { command: result.into() })
    }
}
