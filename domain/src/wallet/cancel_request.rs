//! `cancel-request`: an owner ends what is held back by approvals or a time lock.
//!
//! It ends what the log takes: what is over is no job, and no outcome of it is taken. Only one owner need say so: who
//! stops too much is replaced by the others, and who must be stopped does not wait for a quorum.

use nsl_schemas::authority::Quorum;
use nsl_schemas::command::wallet::{CancelRequest, WalletCommand};
use nsl_schemas::errors;
use nsl_schemas::event::wallet::{PolicyChangeCancelled, TransferCancelled, WalletEvent};

use super::{OpenWallet, Transfer, is_past};
use crate::decision::{Order, Rejection};

impl OpenWallet {
    pub(super) fn cancel_request(
        &self,
        order: &Order<WalletCommand>,
        command: &CancelRequest,
    ) -> Result<Vec<WalletEvent>, Rejection> {
        let statement = &command.cancellation.statement;
        let request_id = statement.request_id;
        let is_of_this_wallet = statement.genesis_sha256 == order.facts.genesis.sha256
            && statement.tenant == order.tenant
            && statement.wallet == order.id;
        let any_owner = Quorum { threshold: 1, keys: self.policy.owners.keys.clone() };
        if !is_of_this_wallet || !command.cancellation.is_signed_by(&any_owner) {
            return Err(Rejection::new(
                errors::CANCELLATION_INVALID,
                "no owner signed this cancellation for this wallet",
            ));
        }
        let cancellation = command.cancellation.clone();
        if let Some(change) = &self.policy_change
            && change.request.id == request_id
            && !is_past(change.not_before_ms, order.now_ms)
        {
            return Ok(vec![PolicyChangeCancelled { cancellation, request_id }.into()]);
        }
        match self.transfers.get(&request_id) {
            Some(Transfer::Requested { tx_hash, hold, .. }) if !hold.is_over(order.now_ms) => {
                let tx_hash = String::clone(tx_hash);
                Ok(vec![TransferCancelled { cancellation, request_id, tx_hash }.into()])
            }
            Some(Transfer::Requested { .. } | Transfer::Signed { .. }) | None => {
                Err(Rejection::new(errors::REQUEST_NOT_HELD, "no request of this id is held back"))
            }
        }
    }
}
