//! `revoke`: the tenant root takes back what it let a key. It ends what begins by then, recorded or not, so a grant that is
//! held back cannot be delivered later; one that begins after it counts again.

use nsl_schemas::authority::Quorum;
use nsl_schemas::command::authority::{AuthorityCommand, Revoke};
use nsl_schemas::errors;
use nsl_schemas::event::authority::{AuthorityEvent, IssuerRevoked};

use super::{Authority, ISSUERS_MAX};
use crate::decision::{Order, Rejection};

impl Authority {
    pub(super) fn revoke(
        &self,
        order: &Order<AuthorityCommand>,
        command: &Revoke,
    ) -> Result<Vec<AuthorityEvent>, Rejection> {
        let invalid = |message: &str| Err(Rejection::new(errors::STATEMENT_INVALID, message));
        let statement = &command.revocation.statement;
        let Some(root) = self.root() else {
            return Err(Rejection::new(errors::ROOT_MISSING, "the tenant has no root key"));
        };
        if statement.genesis_sha256 != order.facts.genesis.sha256 {
            return invalid("the statement is for another genesis manifest");
        }
        if statement.tenant != order.tenant {
            return invalid("the statement is for another tenant");
        }
        if !command.revocation.is_signed_by(&Quorum { threshold: 1, keys: vec![root.key] }) {
            return invalid("the statement is not signed by the tenant root");
        }
        match self.revocations.get(&statement.key).map(|recorded| &recorded.statement) {
            Some(recorded) if recorded.revoked_at_ms >= statement.revoked_at_ms => {
                return invalid("a revocation of this key that reaches as far is recorded");
            }
            None if self.revocations.len() >= ISSUERS_MAX => {
                return Err(Rejection::new(
                    errors::LIMIT_EXCEEDED,
                    "a tenant has at most 10,000 revoked issuers",
                ));
            }
            Some(_) | None => {}
        }
        let recorded = self.grants.get(&statement.key).map(|grant| &grant.statement);
        if recorded.is_some_and(|grant| !statement.ends(grant)) {
            return invalid("the key's grant begins later than the revocation reaches");
        }
        Ok(vec![IssuerRevoked { revocation: command.revocation.clone() }.into()])
    }
}
