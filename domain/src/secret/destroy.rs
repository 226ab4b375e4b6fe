//! `destroy`: the owners end the secret, and with it whatever still waits for a worker.

use nsl_schemas::command::secret::{Destroy, SecretCommand};
use nsl_schemas::event::secret::{Destroyed, EndCause, RequestEnded, SecretEvent};

use super::LiveSecret;
use super::set_readers::not_approved;
use crate::decision::{Order, Rejection};

impl LiveSecret {
    pub(super) fn destroy(
        &self,
        order: &Order<SecretCommand>,
        command: &Destroy,
    ) -> Result<Vec<SecretEvent>, Rejection> {
        let owners = &self.present()?.policy.owners;
        let destruction = &command.destruction.statement;
        let is_of_this_secret = destruction.genesis_sha256 == order.facts.genesis.sha256
            && destruction.tenant == order.tenant
            && destruction.secret == order.id;
        if !is_of_this_secret {
            return Err(not_approved("the destruction is signed for another secret"));
        }
        if !command.destruction.is_signed_by(owners) {
            return Err(not_approved(format!("{} owners must sign", owners.threshold)));
        }
        let sealing = self.sealing.iter().map(|sealing| sealing.request.id);
        let waiting = sealing.chain(self.readings.keys().copied());
        let ended = waiting.map(|request_id| RequestEnded { cause: EndCause::Destroyed, request_id }.into());
        let request_id = order.command_id;
        let destroyed = Destroyed { destruction: command.destruction.clone(), request_id };
        Ok(ended.chain([destroyed.into()]).collect())
    }
}
