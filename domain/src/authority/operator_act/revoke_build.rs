//! `revoke-build`: a measured build may hold keys no longer.

use nsl_schemas::authority::OperatorAct;
use nsl_schemas::command::authority::RevokeBuild;
use nsl_schemas::event::authority::{AuthorityEvent, BuildRevoked};

use crate::authority::Authority;
use crate::decision::Rejection;

impl Authority {
    pub(in crate::authority) fn revoke_build(
        &self,
        command: &RevokeBuild,
    ) -> Result<Vec<AuthorityEvent>, Rejection> {
        let RevokeBuild { act } = command;
        self.check_act(act, matches!(act.statement.act, OperatorAct::RevokeBuild { .. }))?;
        Ok(vec![BuildRevoked { act: act.clone() }.into()])
    }
}
