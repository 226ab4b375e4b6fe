//! `register-root`: the quorum names the tenant's root key.

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
        let (statement, genesis) = (&command.root.statement, &order.facts.genesis);
        if order.id.as_str() != AUTHORITY_ID {
            return invalid("a tenant's authority has the id `root`");
        }
        if statement.genesis_sha256 != genesis.sha256 {
            return invalid("the statement is for another genesis manifest");
        }
        if statement.tenant != order.tenant {
            return invalid("the statement is for another tenant");
        }
        if !command.root.is_signed_by(&genesis.manifest.quorum) {
            return invalid("the statement is not signed by the genesis quorum");
        }
        match &self.root {
            Some(_) => Err(Rejection::new(errors::ROOT_EXISTS, "the tenant has a root key")),
            None => Ok(vec![RootRegistered { root: command.root.clone() }.into()]),
        }
    }
}
