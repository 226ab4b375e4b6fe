//! `establish-pool`: these workers endorse reservations from now on.

use nsl_schemas::authority::OperatorAct;
use nsl_schemas::command::authority::EstablishPool;
use nsl_schemas::event::authority::{AuthorityEvent, PoolEstablished};

use crate::authority::Authority;
use crate::decision::Rejection;

impl Authority {
    pub(in crate::authority) fn establish_pool(
        &self,
        command: &EstablishPool,
    ) -> Result<Vec<AuthorityEvent>, Rejection> {
        let EstablishPool { act } = command;
        self.check_act(act, matches!(act.statement.act, OperatorAct::EstablishPool { .. }))?;
        Ok(vec![PoolEstablished { act: act.clone() }.into()])
    }
}
