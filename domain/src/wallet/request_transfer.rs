//! `request-transfer`: the policy allows it, so a worker may sign it, at once or when approvers and time lock let it.

use nsl_policy::{TransferFacts, approval_rule, evaluate, sign_from_ms, transaction};
use nsl_schemas::command::wallet::{RequestTransfer, WalletCommand};
use nsl_schemas::errors;
use nsl_schemas::event::wallet::{TransferRequested, WalletEvent};
use nsl_schemas::number::UnixMs;

use super::{OPEN_TRANSFERS_MAX, OpenWallet};
use crate::decision::{Order, Rejection, denied};

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
        let facts = TransferFacts::new(command, order.issued_at_ms);
        evaluate(&self.policy, facts).map_err(denied)?;
        let approval = approval_rule(&self.policy, &facts);
        let not_before_ms = sign_from_ms(&self.policy, &facts, order.asked_at_ms());
        // Approvers and time lock are waited for at the same time; workers have theirs after that.
        let approved_by_ms =
            approval.map_or(0, |rule| order.now_ms.saturating_add(u64::from(rule.within_seconds) * 1_000));
        let released_by_ms = order.now_ms.max(approved_by_ms).max(not_before_ms.unwrap_or(0));
        let event = TransferRequested {
            approvals_missing: approval.map(|rule| rule.approvers.threshold),
            not_before_ms: not_before_ms.map(UnixMs),
            request_id: order.command_id,
            request_sha256: order.request_sha256,
            reserves: self.policy.counts(),
            transfer: command.clone(),
            tx_hash: unsigned.hash().to_string(),
            sign_by_ms: Some(UnixMs(released_by_ms.saturating_add(order.facts.signing_ms))),
        };
        Ok(vec![event.into()])
    }
}
