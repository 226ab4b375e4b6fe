//! `register-root`: the operators' quorum names the tenant's root key; a later quorum may name it anew.

use nsl_schemas::command::authority::{AUTHORITY_ID, AuthorityCommand, RegisterRoot};
use nsl_schemas::errors;
use nsl_schemas::event::authority::{AuthorityEvent, RootRegistered};

use super::Authority;
use crate::decision::{Order, Rejection};

impl Authority {
    pub(super) fn register_root(
        &self,
        order: &Order<AuthorityCommand>,
        command: &RegisterRoot,
    ) -> Result<Vec<AuthorityEvent>, Rejection> {
        let invalid = |message: &str| Err(Rejection::new(errors::STATEMENT_INVALID, message));
        let (statement, operators) = (&command.root.statement, &order.facts.operators);
        if order.id.as_str() != AUTHORITY_ID {
            return invalid("a tenant's authority has the id `root`");
        }
        if statement.genesis_sha256 != operators.genesis_sha256() {
            return invalid("the statement is for another genesis manifest");
        }
        if statement.tenant != order.tenant {
            return invalid("the statement is for another tenant");
        }
        if statement.epoch != operators.epoch() {
            return invalid("the statement is of another epoch than the operators'");
        }
        if !command.root.is_signed_by(operators.quorum()) {
            return invalid("the statement is not signed by the operators' quorum");
        }
        match self.root() {
            Some(root) if root.epoch >= statement.epoch => {
                Err(Rejection::new(errors::ROOT_EXISTS, "the tenant has a root key of this epoch"))
            }
            Some(_) | None => Ok(vec![RootRegistered { root: command.root.clone() }.into()]),
        }
    }
}
