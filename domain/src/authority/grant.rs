//! `grant`: the tenant root lets a key issue commands. A grant of the same key that begins later takes the place of the
//! earlier, and the earlier never comes back.

use nsl_schemas::authority::{IssuerGrant, Quorum, SCOPES_MAX};
use nsl_schemas::command::authority::{AuthorityCommand, Grant};
use nsl_schemas::errors;
use nsl_schemas::event::authority::{AuthorityEvent, IssuerGranted};
use nsl_schemas::token::TOKEN_BYTES_MAX;

use super::{Authority, ISSUERS_MAX};
use crate::decision::{Order, Rejection};

impl Authority {
    pub(super) fn grant(
        &self,
        order: &Order<AuthorityCommand>,
        command: &Grant,
    ) -> Result<Vec<AuthorityEvent>, Rejection> {
        let invalid = |message: &str| Err(Rejection::new(errors::STATEMENT_INVALID, message));
        let statement = &command.grant.statement;
        let Some(root) = &self.root else {
            return Err(Rejection::new(errors::ROOT_MISSING, "the tenant has no root key"));
        };
        if statement.genesis_sha256 != order.facts.genesis.sha256 {
            return invalid("the statement is for another genesis manifest");
        }
        if statement.tenant != order.tenant {
            return invalid("the statement is for another tenant");
        }
        if !command.grant.is_signed_by(&Quorum { threshold: 1, keys: vec![root.statement.key] }) {
            return invalid("the statement is not signed by the tenant root");
        }
        if !is_within_limits(statement) {
            return Err(Rejection::new(
                errors::LIMIT_EXCEEDED,
                "a grant has at most 32 scopes; its label and their fields have at most 64 bytes",
            ));
        }
        let revocation = self.revocations.get(&statement.key).map(|revocation| &revocation.statement);
        if revocation.is_some_and(|revocation| revocation.ends(statement)) {
            return invalid("a revocation of this key ends grants that begin as early");
        }
        match self.grants.get(&statement.key).map(|recorded| &recorded.statement) {
            // Anybody may deliver a statement again; one that was replaced must not come back into force.
            Some(recorded) if recorded != statement && recorded.not_before_ms >= statement.not_before_ms => {
                return invalid("a grant of this key that begins at the same time or later is recorded");
            }
            None if self.grants.len() >= ISSUERS_MAX => {
                return Err(Rejection::new(errors::LIMIT_EXCEEDED, "a tenant has at most 10,000 issuers"));
            }
            Some(_) | None => {}
        }
        Ok(vec![IssuerGranted { grant: command.grant.clone() }.into()])
    }
}

/// Scopes name tokens, so no longer text in one could ever match; every processor holds all of them in memory.
fn is_within_limits(statement: &IssuerGrant) -> bool {
    let is_short = |text: &String| text.len() <= TOKEN_BYTES_MAX;
    statement.scopes.len() <= SCOPES_MAX
        && is_short(&statement.label)
        && statement.scopes.iter().flat_map(|scope| [&scope.aggregate, &scope.id, &scope.verb]).all(is_short)
}
