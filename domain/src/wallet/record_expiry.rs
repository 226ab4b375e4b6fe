//! `record-expiry`: the relay saw a block after the transaction's last, and the transaction in none.

use nsl_schemas::command::wallet::RecordExpiry;
use nsl_schemas::errors;
use nsl_schemas::event::wallet::{TransferExpired, WalletEvent};

use super::OpenWallet;
use super::record_confirmation::check_reason;
use crate::decision::Rejection;

impl OpenWallet {
    pub(super) fn record_expiry(&self, command: &RecordExpiry) -> Result<Vec<WalletEvent>, Rejection> {
        let valid_until_block = self.signed_transfer(command.request_id, &command.tx_hash)?;
        if command.block_index <= valid_until_block {
            return Err(Rejection::new(
                errors::TRANSFER_INVALID,
                format!("block {} may still be followed by {valid_until_block}", command.block_index),
            ));
        }
        check_reason(command.reason.as_deref())?;
        let event = TransferExpired {
            request_id: command.request_id,
            tx_hash: command.tx_hash.clone(),
            block_index: command.block_index,
            reason: command.reason.clone(),
        };
        Ok(vec![event.into()])
    }
}
