//! `nsl wallet transfer`

use clap::{Args, ValueEnum};
use nsl_client::Prepared;
use nsl_client::transfer::{self, TransferStep, TransferSteps};
use nsl_schemas::command::wallet::{RequestTransfer, VmState};
use nsl_schemas::result::CommandResult;
use nsl_schemas::token::AggregateId;
use uuid::Uuid;

use super::create::parse_address;
use crate::assets::{Asset, show_amount, show_gas};
use crate::error::Error;
use crate::outcome::{Outcome, TransferFacts};
use crate::session::{Invocation, Session, payload};

/// Transfer an asset.
#[derive(Debug, Args)]
pub(crate) struct Transfer {
    /// The wallet that pays.
    wallet: AggregateId,
    /// How much, as 1.5; of other contracts than NEO and GAS in the smallest unit.
    amount: String,
    /// NEO, GAS or a NEP-17 contract (0x…).
    #[arg(value_parser = Asset::parse)]
    asset: Asset,
    /// The address that receives.
    #[arg(value_parser = parse_address)]
    to: String,
    /// How far to follow it.
    #[arg(long, value_enum, default_value_t = Wait::Confirmed)]
    wait: Wait,
    /// The last block that may hold it, where the quoted one comes too soon for approvals or a time lock.
    #[arg(long, value_name = "HEIGHT")]
    last_block: Option<u32>,
    /// The id of a transfer that was sent before, to send it again.
    #[arg(long)]
    id: Option<Uuid>,
}

/// How far to follow a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Wait {
    /// Until it is in the log.
    Accepted,
    /// Until the enclave signed it.
    Signed,
    /// Until it is in a block.
    Confirmed,
}

impl Transfer {
    pub(crate) async fn run(self, invocation: &Invocation) -> Result<Outcome, Error> {
        let session = invocation.connect().await?;
        let subject = session.client.subject("wallet", &self.wallet, "request-transfer")?;
        let prepared = match session.kept(self.id, &subject)? {
            Some(prepared) => prepared,
            None => self.prepare(&session).await?,
        };
        let transfer = self.facts(payload(&prepared)?);
        invocation.shell.note(&announce(&transfer));
        let result = session.deliver(&prepared).await?;
        if self.wait == Wait::Accepted {
            return Ok(Outcome::TransferAccepted { transfer, command: result.into() });
        }
        let (tenant, wallet) = (session.tenant(), &self.wallet);
        let (request_id, from_position) = (result.command_id, result.first_position);
        let steps = session.client.follow_transfer(tenant, wallet, request_id, from_position).await?;
        self.follow(invocation, steps, transfer, result).await
    }

    async fn prepare(&self, session: &Session<'_>) -> Result<Prepared, Error> {
        let wallet = session.wallet(&self.wallet).await?;
        let Some(public_key) = wallet.public_key else {
            return Err(Error::WalletNotOpen { wallet: self.wallet.to_string(), status: wallet.status });
        };
        let amount = self.asset.parse_amount(&self.amount)?;
        let transfer = transfer::Transfer { asset: self.asset.hash(), to: self.to.clone(), amount };
        let mut quote = session.client.quote_transfer(session.tenant(), &public_key, &transfer).await?;
        quote.valid_until_block = self.last_block.unwrap_or(quote.valid_until_block);
        let command_id = self.id.unwrap_or_else(Uuid::now_v7);
        Ok(session.client.prepare_transfer(command_id, &self.wallet, &transfer, &quote)?)
    }

    fn facts(&self, asked: RequestTransfer) -> TransferFacts {
        let RequestTransfer {
            network_magic: _,
            asset,
            to,
            amount,
            system_fee_datoshi,
            network_fee_datoshi,
            valid_until_block,
        } = asked;
        TransferFacts {
            wallet: self.wallet.clone(),
            asset,
            to,
            amount,
            system_fee_datoshi,
            network_fee_datoshi,
            valid_until_block,
        }
    }

    async fn follow(
        &self,
        invocation: &Invocation,
        mut steps: TransferSteps,
        transfer: TransferFacts,
        result: CommandResult,
    ) -> Result<Outcome, Error> {
        loop {
            match steps.next(invocation.timeout()).await? {
                TransferStep::Approved { approvals_missing, position: _ } => {
                    invocation.shell.note(&format!("approved, {approvals_missing} more must approve"));
                }
                TransferStep::Cancelled { tx_hash, position: _ } => {
                    return Err(Error::RequestCancelled { tx_hash });
                }
                TransferStep::Signed { tx_hash, valid_until_block, position: _ }
                    if self.wait == Wait::Signed =>
                {
                    let command = result.into();
                    return Ok(Outcome::TransferSigned { transfer, tx_hash, valid_until_block, command });
                }
                TransferStep::Signed { tx_hash, .. } => {
                    invocation.shell.note(&format!("signed, transaction {tx_hash}; waiting for its block"));
                }
                TransferStep::Refused { code, message, position: _ } => {
                    return Err(Error::WorkerRefused { code, message });
                }
                TransferStep::Confirmed {
                    tx_hash,
                    block_index,
                    vm_state: VmState::Halt,
                    exception: _,
                    gas_consumed_datoshi,
                    position: _,
                } => {
                    let command = result.into();
                    return Ok(Outcome::TransferConfirmed {
                        transfer,
                        tx_hash,
                        block_index,
                        gas_consumed_datoshi,
                        command,
                    });
                }
                TransferStep::Confirmed { tx_hash, block_index, exception, .. } => {
                    let exception = exception.unwrap_or_else(|| "no reason given".to_owned());
                    return Err(Error::TransferFaulted { tx_hash, block_index, exception });
                }
                TransferStep::Expired { tx_hash, block_index, reason, position: _ } => {
                    let reason = reason.unwrap_or_else(|| "its last block passed".to_owned());
                    return Err(Error::TransferExpired { tx_hash, block_index, reason });
                }
                TransferStep::RequestExpired { tx_hash, valid_until_block, position: _ } => {
                    return Err(Error::RequestExpired { tx_hash, valid_until_block });
                }
            }
        }
    }
}

fn announce(transfer: &TransferFacts) -> String {
    format!(
        "{} to {}, fees {} (system) + {} (network), valid until block {}",
        show_amount(&transfer.asset, transfer.amount),
        transfer.to,
        show_gas(transfer.system_fee_datoshi),
        show_gas(transfer.network_fee_datoshi),
        transfer.valid_until_block
    )
}
