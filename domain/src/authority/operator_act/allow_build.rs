//! `allow-build`: a measured build may hold keys.

use nsl_schemas::authority::OperatorAct;
use nsl_schemas::command::authority::AllowBuild;
use nsl_schemas::event::authority::{AuthorityEvent, BuildAllowed};

use crate::authority::Authority;
use crate::decision::Rejection;

impl Authority {
    pub(in crate::authority) fn allow_build(
        &self,
        command: &AllowBuild,
    ) -> Result<Vec<AuthorityEvent>, Rejection> {
        let AllowBuild { act } = command;
        self.check_act(act, matches!(act.statement.act, OperatorAct::AllowBuild { .. }))?;
        Ok(vec![BuildAllowed { act: act.clone() }.into()])
    }
}
