//! `set-readers`: the owners of the present policy replace it; a worker seals the secret anew.

use nsl_schemas::command::secret::{SecretCommand, SetReaders};
use nsl_schemas::errors;
use nsl_schemas::event::secret::{ReadersChangeRequested, SecretEvent};

use super::{LiveSecret, answer_by_ms};
use crate::decision::{Order, Rejection};

impl LiveSecret {
    pub(super) fn set_readers(
        &self,
        order: &Order<SecretCommand>,
        command: &SetReaders,
    ) -> Result<Vec<SecretEvent>, Rejection> {
        let present = self.present()?;
        let change = &command.change.statement;
        let is_of_this_secret = change.genesis_sha256 == order.facts.genesis.sha256
            && change.tenant == order.tenant
            && change.secret == order.id;
        if !is_of_this_secret {
            return Err(not_approved("the change is signed for another secret"));
        }
        self.check_next(change.version)?;
        let present_sha256 = present.policy.sha256();
        if change.previous_sha256 != present_sha256 {
            return Err(Rejection::new(
                errors::SECRET_POLICY_MISMATCH,
                format!("the policy in force has the hash {present_sha256}"),
            ));
        }
        if !command.change.is_signed_by(&present.policy.owners) {
            return Err(not_approved(format!("{} owners must sign", present.policy.owners.threshold)));
        }
        if !change.policy.is_sound() {
            let message = "owners and readers are quorums that can be met";
            return Err(Rejection::new(errors::SECRET_POLICY_INVALID, message));
        }
        let event = ReadersChangeRequested {
            answer_by_ms: answer_by_ms(order),
            policy: change.policy.clone(),
            request_id: order.command_id,
            request_sha256: order.request_sha256,
            version: change.version,
        };
        Ok(vec![event.into()])
    }
}

pub(super) fn not_approved(message: impl Into<String>) -> Rejection {
    Rejection::new(errors::SECRET_NOT_APPROVED, message)
}
