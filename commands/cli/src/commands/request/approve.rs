//! `nsl request approve`

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use nsl_client::Prepared;
use nsl_schemas::policy::TransferApproval;
use uuid::Uuid;

use super::find;
use crate::assets::{show_amount, show_gas};
use crate::error::Error;
use crate::files;
use crate::outcome::Outcome;
use crate::session::{Invocation, Session};

/// Approve a transfer that waits for it.
#[derive(Debug, Args)]
pub(crate) struct Approve {
    /// The request's id, which is that of the command that asked.
    request: Uuid,
    /// The seed file of an approver that the wallet's policy names.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// For how long the approval counts.
    #[arg(long, value_name = "HOURS", default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=168))]
    hours: u32,
    /// The id of a command that was sent before, to send it again.
    #[arg(long)]
    id: Option<Uuid>,
}

impl Approve {
    pub(crate) async fn run(self, invocation: &Invocation) -> Result<Outcome, Error> {
        let session = invocation.connect().await?;
        let request = find(&session, self.request).await?;
        let subject = session.client.subject("wallet", &request.wallet, "approve-transfer")?;
        let prepared = if let Some(prepared) = session.kept(self.id, &subject)? {
            prepared
        } else {
            let statement = self.statement(&session, request).await?;
            invocation.shell.note(&announce(&statement));
            self.sign(&session, statement)?
        };
        let result = session.deliver(&prepared).await?;
        Ok(Outcome::CommandAccepted { command: result.into() })
    }

    /// What the approver signs: the whole transfer, and the policy and log that the context's wallet and manifest have.
    async fn statement(
        &self,
        session: &Session<'_>,
        request: nsl_schemas::query::SigningRequest,
    ) -> Result<TransferApproval, Error> {
        let (Some(request_sha256), Some(transfer)) = (request.request_sha256, request.transfer) else {
            return Err(Error::Input("the service is still rebuilding its list of requests".to_owned()));
        };
        let policy_sha256 = session.wallet(&request.wallet).await?.policy.sha256();
        let life_ms = u64::from(self.hours) * 60 * 60 * 1000;
        Ok(TransferApproval {
            expires_at_ms: now_ms()?.saturating_add(life_ms),
            genesis_sha256: session.genesis()?.statement.sha256(),
            policy_sha256,
            request_id: request.id,
            request_sha256,
            tenant: session.tenant().clone(),
            transfer,
            wallet: request.wallet,
        })
    }

    fn sign(&self, session: &Session<'_>, statement: TransferApproval) -> Result<Prepared, Error> {
        let approver = files::read_seed(&self.key)?;
        let command_id = self.id.unwrap_or_else(Uuid::now_v7);
        Ok(session.client.prepare_approval(command_id, statement, &approver)?)
    }
}

fn now_ms() -> Result<u64, Error> {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
    let elapsed = elapsed.map_err(|_| Error::Input("the clock is before 1970".to_owned()))?;
    Ok(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
}

fn announce(statement: &TransferApproval) -> String {
    let transfer = &statement.transfer;
    format!(
        "approving {} from {} to {}, fees {} (system) + {} (network), valid until block {}",
        show_amount(&transfer.asset, transfer.amount),
        statement.wallet,
        transfer.to,
        show_gas(transfer.system_fee_datoshi),
        show_gas(transfer.network_fee_datoshi),
        transfer.valid_until_block
    )
}
