//! `approve-transfer`: one more of the approvers that the policy names lets a transfer be signed.

use nsl_policy::{ApprovedRequest, TransferFacts, approval_rule, check_approval};
use nsl_schemas::authority::Signed;
use nsl_schemas::bytes::Sha256;
use nsl_schemas::command::wallet::{ApproveTransfer, WalletCommand};
use nsl_schemas::errors;
use nsl_schemas::event::wallet::{TransferApproved, WalletEvent};
use nsl_schemas::nkey::PublicKey;

use super::{Hold, OpenWallet, Transfer};
use crate::decision::{Order, Rejection, denied};

impl OpenWallet {
    pub(super) fn approve_transfer(
        &self,
        order: &Order<WalletCommand>,
        command: &ApproveTransfer,
    ) -> Result<Vec<WalletEvent>, Rejection> {
        let request_id = command.approval.statement.request_id;
        let not_awaited =
            || Rejection::new(errors::APPROVAL_NOT_AWAITED, "no such transfer waits for approvals");
        let Some(Transfer::Requested { request, transfer, hold, .. }) = self.transfers.get(&request_id)
        else {
            return Err(not_awaited());
        };
        // Whether approvals are needed is a matter of asset and amount; the time in the facts is not looked at.
        let facts = TransferFacts::new(transfer, order.issued_at_ms);
        let rule = approval_rule(&self.policy, &facts)
            .filter(|_| hold.approvals_missing > 0)
            .ok_or_else(not_awaited)?;
        let policy_sha256 = self.policy.sha256();
        let approved = ApprovedRequest {
            genesis_sha256: order.facts.genesis.sha256,
            tenant: &order.tenant,
            wallet: &order.id,
            request_id,
            request_sha256: request.sha256,
            transfer,
        };
        let approver =
            check_approval(policy_sha256, &rule.approvers, &approved, &command.approval, order.now_ms)
                .map_err(denied)?;
        let before = hold.approvers(policy_sha256, order.now_ms);
        if before.contains(&approver) {
            return Err(Rejection::new(errors::APPROVAL_REPEATED, format!("{approver} approved it already")));
        }
        let approvals = u8::try_from(before.len() + 1).unwrap_or(u8::MAX);
        let event = TransferApproved {
            approval: command.approval.clone(),
            approvals_missing: rule.approvers.threshold.saturating_sub(approvals),
            request_id,
            reserves: self.policy.counts(),
        };
        Ok(vec![event.into()])
    }

    pub(super) fn approved(&mut self, event: TransferApproved) {
        let Some(Transfer::Requested { hold, .. }) = self.transfers.get_mut(&event.request_id) else {
            return;
        };
        let TransferApproved { approval, approvals_missing, request_id: _, reserves: _ } = event;
        let policy_sha256 = approval.statement.policy_sha256;
        hold.approvals_missing = approvals_missing;
        // Under another policy they count nothing, and an approver's later approval replaces the earlier.
        hold.approvals.retain(|one| {
            one.statement.policy_sha256 == policy_sha256 && one.approver() != approval.approver()
        });
        hold.approvals.push(approval);
    }
}

impl Hold {
    /// Who approved under the policy of this hash, as far as that is in force.
    fn approvers(&self, policy_sha256: Sha256, now_ms: u64) -> Vec<PublicKey> {
        self.approvals
            .iter()
            .filter(|one| {
                one.statement.policy_sha256 == policy_sha256 && now_ms < one.statement.expires_at_ms
            })
            .filter_map(Signed::approver)
            .collect()
    }
}
