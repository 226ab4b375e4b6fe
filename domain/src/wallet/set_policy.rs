//! `set-policy`: the owners of the present policy replace it.

use nsl_policy::{check_sound, policy_change_from_ms};
use nsl_schemas::command::wallet::{SetPolicy, WalletCommand};
use nsl_schemas::errors;
use nsl_schemas::event::wallet::{PolicyChangeRequested, WalletEvent};
use nsl_schemas::number::UnixMs;

use super::OpenWallet;
use crate::decision::{Order, Rejection};

impl OpenWallet {
    pub(super) fn set_policy(
        &self,
        order: &Order<WalletCommand>,
        command: &SetPolicy,
    ) -> Result<Vec<WalletEvent>, Rejection> {
        let change = &command.change.statement;
        if change.tenant != order.tenant || change.wallet != order.id {
            return Err(Rejection::new(
                errors::POLICY_NOT_APPROVED,
                "the change is signed for another wallet",
            ));
        }
        if self.policy_change.is_some() {
            return Err(Rejection::new(errors::POLICY_CHANGE_PENDING, "another change is under way"));
        }
        let present = self.policy.sha256();
        if change.previous_sha256 != present {
            return Err(Rejection::new(
                errors::POLICY_PREVIOUS_MISMATCH,
                format!("the policy in force has the hash {present}"),
            ));
        }
        if !command.change.is_signed_by(&self.policy.owners) {
            let threshold = self.policy.owners.threshold;
            return Err(Rejection::new(errors::POLICY_NOT_APPROVED, format!("{threshold} owners must sign")));
        }
        check_sound(&change.policy)
            .map_err(|error| Rejection::new(errors::POLICY_INVALID, error.to_string()))?;
        let event = PolicyChangeRequested {
            not_before_ms: policy_change_from_ms(&self.policy, order.asked_at_ms()).map(UnixMs),
            request_id: order.command_id,
            request_sha256: order.request_sha256,
            policy: change.policy.clone(),
        };
        Ok(vec![event.into()])
    }
}
