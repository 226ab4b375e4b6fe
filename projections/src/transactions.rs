//! The read model `transactions`: every signed transaction and whether the chain has it.

use nsl_schemas::command::wallet::VmState;
use nsl_schemas::event::wallet::{TransferSigned, WalletEvent};
use nsl_schemas::query::{Page, Transaction};
use nsl_schemas::token::Tenant;
use sqlx::postgres::PgPool;

use crate::log_event::LogEvent;
use crate::row::{self, Listed, Row, Table};

const SIGNED: &str = "signed";
const CONFIRMED: &str = "confirmed";
const FAULTED: &str = "faulted";
const EXPIRED: &str = "expired";

/// A transaction's row.
pub type TransactionRow = Listed<Transaction>;

impl Row for TransactionRow {
    type Event = WalletEvent;
    const TABLE: Table = Table { name: "transactions", id: "tx_hash" };

    fn id(event: &LogEvent<WalletEvent>) -> Option<String> {
        match &event.body {
            WalletEvent::TransferSigned(body) => Some(body.tx_hash.clone()),
            WalletEvent::TransferConfirmed(body) => Some(body.tx_hash.clone()),
            WalletEvent::TransferExpired(body) => Some(body.tx_hash.clone()),
            _ => None,
        }
    }

    fn evolve(before: Option<&Self>, event: &LogEvent<WalletEvent>) -> Option<Self> {
        let mut row = match &event.body {
            WalletEvent::TransferSigned(body) => signed(event, body),
            _ => before?.clone(),
        };
        let transaction = &mut row.shown;
        transaction.position = event.position;
        match &event.body {
            WalletEvent::TransferConfirmed(body) => {
                let status = match body.vm_state {
                    VmState::Halt => CONFIRMED,
                    VmState::Fault => FAULTED,
                };
                status.clone_into(&mut transaction.status);
                transaction.block_index = Some(body.block_index);
                transaction.gas_consumed_datoshi = Some(body.gas_consumed_datoshi);
                transaction.reason.clone_from(&body.exception);
            }
            WalletEvent::TransferExpired(body) => {
                EXPIRED.clone_into(&mut transaction.status);
                transaction.reason.clone_from(&body.reason);
            }
            _ => {}
        }
        Some(row)
    }
}

fn signed(event: &LogEvent<WalletEvent>, body: &TransferSigned) -> TransactionRow {
    let transaction = Transaction {
        tx_hash: body.tx_hash.clone(),
        request_id: body.request_id,
        wallet: event.id.clone(),
        status: SIGNED.to_owned(),
        valid_until_block: body.valid_until_block,
        block_index: None,
        gas_consumed_datoshi: None,
        reason: None,
        position: event.position,
    };
    Listed { tenant: event.tenant.clone(), first_position: event.position, shown: transaction }
}

/// A tenant's transactions, newest first, from before the position `before`.
pub async fn list(
    pool: &PgPool,
    tenant: &Tenant,
    before: Option<u64>,
    limit: u32,
) -> Result<Page<Transaction>, sqlx::Error> {
    row::newest(pool, TransactionRow::TABLE, tenant, before, limit).await
}
