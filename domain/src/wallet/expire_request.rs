//! `expire-request`: no worker signed in time, so the request ends and its place is free.
//!
//! A worker's signature may exist all the same, held back by a host: the transaction itself is bounded by its last block
//! alone (D9). What ends here is that the log takes it and the relay sends it.

use nsl_schemas::command::wallet::{ExpireRequest, WalletCommand};
use nsl_schemas::errors;
use nsl_schemas::event::wallet::{TransferRequestExpired, WalletEvent};

use super::{OpenWallet, Transfer};
use crate::decision::{Order, Rejection};

impl OpenWallet {
    pub(super) fn expire_request(
        &self,
        order: &Order<WalletCommand>,
        command: &ExpireRequest,
    ) -> Result<Vec<WalletEvent>, Rejection> {
        let Some(Transfer::Requested { transfer, tx_hash, sign_by_ms, .. }) =
            self.transfers.get(&command.request_id)
        else {
            return Err(Rejection::new(errors::TRANSFER_UNKNOWN, "no such transfer awaits its signature"));
        };
        let Some(sign_by_ms) = *sign_by_ms else {
            return Err(Rejection::new(errors::DEADLINE_NOT_PASSED, "the request has no deadline"));
        };
        if order.now_ms < sign_by_ms.0 {
            return Err(Rejection::new(
                errors::DEADLINE_NOT_PASSED,
                format!("workers have until {sign_by_ms}, it is {}", order.now_ms),
            ));
        }
        let event = TransferRequestExpired {
            request_id: command.request_id,
            tx_hash: String::clone(tx_hash),
            valid_until_block: transfer.valid_until_block,
            sign_by_ms,
        };
        Ok(vec![event.into()])
    }
}
