//! `revoke-worker`: no report of a worker is taken any more.

use nsl_schemas::authority::OperatorAct;
use nsl_schemas::command::authority::RevokeWorker;
use nsl_schemas::event::authority::{AuthorityEvent, WorkerRevoked};

use crate::authority::Authority;
use crate::decision::Rejection;

impl Authority {
    pub(in crate::authority) fn revoke_worker(
        &self,
        command: &RevokeWorker,
    ) -> Result<Vec<AuthorityEvent>, Rejection> {
        let RevokeWorker { act } = command;
        self.check_act(act, matches!(act.statement.act, OperatorAct::RevokeWorker { .. }))?;
        Ok(vec![WorkerRevoked { act: act.clone() }.into()])
    }
}
