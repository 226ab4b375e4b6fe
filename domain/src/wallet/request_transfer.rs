//! `request-transfer`: the policy allows it, so a worker may sign it.

use nsl_policy::{TransferFacts, evaluate, transaction};
use nsl_schemas::command::wallet::{RequestTransfer, WalletCommand};
use nsl_schemas::errors;
use nsl_schemas::event::wallet::{TransferRequested, WalletEvent};
use nsl_schemas::number::UnixMs;

use super::{OPEN_TRANSFERS_MAX, OpenWallet};
use crate::decision::{Order, Rejection};

impl OpenWallet {
    pub(super) fn request_transfer(
        &self,
        order: &Order<WalletCommand>,
        command: &RequestTransfer,
    ) -> Result<Vec<WalletEvent>, Rejection> {
        if self.transfers.size() >= OPEN_TRANSFERS_MAX {
            return Err(Rejection::new(
                errors::TOO_MANY_OPEN_TRANSFERS,
                format!("the wallet has {OPEN_TRANSFERS_MAX} open transfers"),
            ));
        }
        let unsigned = transaction::transfer(order.command_id, self.public_key()?, command)
            .map_err(|error| Rejection::new(errors::TRANSFER_INVALID, error.to_string()))?;
        evaluate(&self.policy, TransferFacts::from(command))
            .map_err(|denied| Rejection::new(denied.code(), denied.to_string()))?;
        let event = TransferRequested {
            request_id: order.command_id,
            request_sha256: order.request_sha256,
            transfer: command.clone(),
            tx_hash: unsigned.hash().to_string(),
            sign_by_ms: Some(UnixMs(order.now_ms.saturating_add(order.facts.signing_ms))),
        };
        Ok(vec![event.into()])
    }
}
