//! From a quote to a transaction in a block.

use std::time::Duration;

use nsl_schemas::command::wallet::{RequestTransfer, VmState};
use nsl_schemas::event::wallet::{Refusal, WalletEvent};
use nsl_schemas::number::{Amount, Datoshi};
use nsl_schemas::query::{Quote, QuoteRequest, name};
use nsl_schemas::token::{AggregateId, Tenant};
use uuid::Uuid;

use crate::events::{self, EventStream, PublishedEvent};
use crate::{Client, Prepared, QueryError, wallet};

/// What shall move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// The NEP-17 contract, as `0x…`.
    pub asset: String,
    /// The receiving address.
    pub to: String,
    /// In the token's smallest unit.
    pub amount: Amount,
}

/// What happened to an accepted transfer. `Approved` may come several times, then `Signed`; every other step is the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransferStep {
    /// An approver let it be signed.
    Approved {
        /// How many more must.
        approvals_missing: u8,
        /// The event's position.
        position: u64,
    },
    /// An owner ended it while it waited for approvals or its time lock.
    Cancelled {
        /// As the chain would show it, `0x…`.
        tx_hash: String,
        /// The event's position.
        position: u64,
    },
    /// A worker signed it; the relay sends it.
    Signed {
        /// As the chain shows it, `0x…`.
        tx_hash: String,
        /// The last block that may hold it.
        valid_until_block: u32,
        /// The event's position.
        position: u64,
    },
    /// A worker would not sign it.
    Refused {
        /// A stable code, see [`nsl_schemas::errors`].
        code: String,
        /// What happened.
        message: String,
        /// The event's position.
        position: u64,
    },
    /// It is in a block. Only with [`VmState::Halt`] did the tokens move.
    Confirmed {
        /// As the chain shows it, `0x…`.
        tx_hash: String,
        /// The block's height.
        block_index: u32,
        /// How the VM ended.
        vm_state: VmState,
        /// What the VM said, when it faulted.
        exception: Option<String>,
        /// What the execution cost.
        gas_consumed_datoshi: Datoshi,
        /// The event's position.
        position: u64,
    },
    /// It can no longer be in a block.
    Expired {
        /// As the chain would show it, `0x…`.
        tx_hash: String,
        /// The height that was seen without it.
        block_index: u32,
        /// Why a node refused it, if one did.
        reason: Option<String>,
        /// The event's position.
        position: u64,
    },
    /// No worker signed it in time, and the service will not send it. A signature that was held back may still be used
    /// until the last block has passed; ask anew only after that.
    RequestExpired {
        /// As the chain would show it, `0x…`.
        tx_hash: String,
        /// The last block that may hold it.
        valid_until_block: u32,
        /// The event's position.
        position: u64,
    },
}

/// The steps of one transfer, in order.
pub struct TransferSteps {
    events: EventStream,
    request_id: Uuid,
}

impl TransferSteps {
    /// Waits up to `limit` for the next step.
    pub async fn next(&mut self, limit: Duration) -> Result<TransferStep, events::Error> {
        let request_id = self.request_id;
        let search = events::first(&mut self.events, |event| step(event, request_id));
        tokio::time::timeout(limit, search).await.unwrap_or(Err(events::Error::TimedOut { limit }))
    }
}

impl Client {
    /// Asks what a transfer will cost and until which block it can be valid.
    pub async fn quote_transfer(
        &self,
        tenant: &Tenant,
        public_key: &str,
        transfer: &Transfer,
    ) -> Result<Quote, QueryError> {
        let Transfer { asset, to, amount } = transfer.clone();
        let question = QuoteRequest { public_key: public_key.to_owned(), asset, to, amount };
        self.query(tenant, name::TRANSFER_QUOTE, &question).await
    }

    /// Signs `wallet request-transfer` with the fees and the last block of `quote`.
    pub fn prepare_transfer(
        &self,
        command_id: Uuid,
        wallet: &AggregateId,
        transfer: &Transfer,
        quote: &Quote,
    ) -> Result<Prepared, crate::prepared::Error> {
        let Transfer { asset, to, amount } = transfer.clone();
        let payload = RequestTransfer {
            network_magic: quote.network_magic,
            asset,
            to,
            amount,
            system_fee_datoshi: quote.system_fee_datoshi,
            network_fee_datoshi: quote.network_fee_datoshi,
            valid_until_block: quote.valid_until_block,
        };
        let subject = self.subject("wallet", wallet, "request-transfer")?;
        self.prepare_with_id(command_id, &subject, &payload)
    }

    /// Follows the transfer that command `request_id` asked for at `from_position`.
    pub async fn follow_transfer(
        &self,
        tenant: &Tenant,
        wallet: &AggregateId,
        request_id: Uuid,
        from_position: u64,
    ) -> Result<TransferSteps, events::Error> {
        let events = self.events(&wallet::events_of(tenant, wallet), from_position).await?;
        Ok(TransferSteps { events, request_id })
    }
}

const STEP_NAMES: [&str; 7] = [
    "transfer-approved",
    "transfer-cancelled",
    "transfer-signed",
    "transfer-refused",
    "transfer-confirmed",
    "transfer-expired",
    "transfer-request-expired",
];

fn step(event: &PublishedEvent, request_id: Uuid) -> Result<Option<TransferStep>, events::Error> {
    // Other names may belong to a newer service; they are not decoded.
    if !STEP_NAMES.contains(&event.name()) {
        return Ok(None);
    }
    let position = event.position;
    Ok(match event.decode()? {
        WalletEvent::TransferApproved(approved) if approved.request_id == request_id => {
            Some(TransferStep::Approved { approvals_missing: approved.approvals_missing, position })
        }
        WalletEvent::TransferCancelled(cancelled) if cancelled.request_id == request_id => {
            Some(TransferStep::Cancelled { tx_hash: cancelled.tx_hash, position })
        }
        WalletEvent::TransferSigned(signed) if signed.request_id == request_id => {
            Some(TransferStep::Signed {
                tx_hash: signed.tx_hash,
                valid_until_block: signed.valid_until_block,
                position,
            })
        }
        WalletEvent::TransferRefused(refused) if refused.request_id == request_id => {
            let Refusal { code, message, outcome: _ } = refused.refusal;
            Some(TransferStep::Refused { code, message, position })
        }
        WalletEvent::TransferConfirmed(confirmed) if confirmed.request_id == request_id => {
            Some(TransferStep::Confirmed {
                tx_hash: confirmed.tx_hash,
                block_index: confirmed.block_index,
                vm_state: confirmed.vm_state,
                exception: confirmed.exception,
                gas_consumed_datoshi: confirmed.gas_consumed_datoshi,
                position,
            })
        }
        WalletEvent::TransferExpired(expired) if expired.request_id == request_id => {
            Some(TransferStep::Expired {
                tx_hash: expired.tx_hash,
                block_index: expired.block_index,
                reason: expired.reason,
                position,
            })
        }
        WalletEvent::TransferRequestExpired(expired) if expired.request_id == request_id => {
            Some(TransferStep::RequestExpired {
                tx_hash: expired.tx_hash,
                valid_until_block: expired.valid_until_block,
                position,
            })
        }
        _ => None,
    })
}
