//! `replace-quorum`: other operators sign from now on.

use nsl_schemas::authority::OperatorAct;
use nsl_schemas::command::authority::ReplaceQuorum;
use nsl_schemas::event::authority::{AuthorityEvent, QuorumReplaced};

use crate::authority::Authority;
use crate::decision::Rejection;

impl Authority {
    pub(in crate::authority) fn replace_quorum(
        &self,
        command: &ReplaceQuorum,
    ) -> Result<Vec<AuthorityEvent>, Rejection> {
        let ReplaceQuorum { act } = command;
        self.check_act(act, matches!(act.statement.act, OperatorAct::ReplaceQuorum { .. }))?;
        Ok(vec![QuorumReplaced { act: act.clone() }.into()])
    }
}
