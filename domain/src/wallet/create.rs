//! `create`: ask the enclave for a key under a first policy.

use nsl_policy::check_sound;
use nsl_schemas::command::wallet::{Create, WalletCommand};
use nsl_schemas::errors;
use nsl_schemas::event::wallet::{CreationRequested, WalletEvent};

use super::{Phase, Wallet};
use crate::decision::{Order, Rejection};

impl Wallet {
    pub(super) fn create(
        &self,
        order: &Order<WalletCommand>,
        command: &Create,
    ) -> Result<Vec<WalletEvent>, Rejection> {
        if self.phase != Phase::Absent {
            return Err(Rejection::new(errors::WALLET_EXISTS, "the wallet exists or is being created"));
        }
        check_sound(&command.policy)
            .map_err(|error| Rejection::new(errors::POLICY_INVALID, error.to_string()))?;
        let event = CreationRequested {
            request_id: order.command_id,
            request_sha256: order.request_sha256,
            policy: command.policy.clone(),
        };
        Ok(vec![event.into()])
    }
}
