//! `record-confirmation`: the relay found the transaction in a block.

use nsl_schemas::command::wallet::RecordConfirmation;
use nsl_schemas::errors;
use nsl_schemas::event::wallet::{TransferConfirmed, WalletEvent};
use uuid::Uuid;

use super::{OpenWallet, Transfer};
use crate::decision::Rejection;

/// Longest reason that is kept: a VM's exception or a node's message, enough to see what went wrong.
pub(super) const REASON_BYTES_MAX: usize = 1024;

impl OpenWallet {
    pub(super) fn record_confirmation(
        &self,
        command: &RecordConfirmation,
    ) -> Result<Vec<WalletEvent>, Rejection> {
        let valid_until_block = self.signed_transfer(command.request_id, &command.tx_hash)?;
        if command.block_index > valid_until_block {
            return Err(Rejection::new(
                errors::TRANSFER_INVALID,
                format!("no block after {valid_until_block} can hold it"),
            ));
        }
        if command.block_hash.parse::<nsl_neo::Hash256>().is_err() {
            return Err(Rejection::new(
                errors::TRANSFER_INVALID,
                "the block's hash is not 0x and 64 hex digits",
            ));
        }
        check_reason(command.exception.as_deref())?;
        let event = TransferConfirmed {
            request_id: command.request_id,
            tx_hash: command.tx_hash.clone(),
            block_index: command.block_index,
            block_hash: command.block_hash.clone(),
            vm_state: command.vm_state,
            exception: command.exception.clone(),
            gas_consumed_datoshi: command.gas_consumed_datoshi,
        };
        Ok(vec![event.into()])
    }

    /// The last block of the signed transfer that the relay speaks of.
    pub(super) fn signed_transfer(&self, request_id: Uuid, tx_hash: &str) -> Result<u32, Rejection> {
        match self.transfers.get(&request_id) {
            Some(Transfer::Signed { tx_hash: known, valid_until_block }) if **known == *tx_hash => {
                Ok(*valid_until_block)
            }
            _ => Err(Rejection::new(errors::TRANSFER_UNKNOWN, "no such signed transfer is open")),
        }
    }
}

/// Refuses a reason longer than the log keeps.
pub(super) fn check_reason(reason: Option<&str>) -> Result<(), Rejection> {
    match reason {
        Some(text) if text.len() > REASON_BYTES_MAX => Err(Rejection::new(
            errors::LIMIT_EXCEEDED,
            format!("a reason has at most {REASON_BYTES_MAX} bytes"),
        )),
        _ => Ok(()),
    }
}
