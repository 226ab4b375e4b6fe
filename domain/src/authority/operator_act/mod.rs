//! What every act of the operators must show: that it is the next one, and theirs.

mod allow_build;
mod establish_pool;
mod replace_quorum;
mod revoke_build;
mod revoke_worker;

use nsl_schemas::authority::{OperatorStatement, Signed};
use nsl_schemas::errors;

use super::Authority;
use crate::decision::Rejection;

impl Authority {
    /// Checks an act of the verb's kind. Acts stand in the system tenant's authority, beside the manifest.
    fn check_act(&self, act: &Signed<OperatorStatement>, is_of_verb: bool) -> Result<(), Rejection> {
        let invalid = |message: String| Rejection::new(errors::STATEMENT_INVALID, message);
        let operators = self.operators.as_ref().ok_or_else(|| {
            invalid("operators act in the authority `root` of the tenant `system`".to_owned())
        })?;
        if !is_of_verb {
            return Err(invalid("the act is of another kind than the verb".to_owned()));
        }
        operators.check(act).map_err(|error| invalid(error.to_string()))
    }
}
