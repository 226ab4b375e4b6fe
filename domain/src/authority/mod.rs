//! A tenant's authority: its root key, named by the genesis quorum, and the keys that the root lets issue commands.

mod grant;
mod register_root;

use std::collections::BTreeMap;

use nsl_schemas::authority::{GrantChain, IssuerGrant, Signed, TenantRoot};
use nsl_schemas::command::authority::AuthorityCommand;
use nsl_schemas::event::authority::AuthorityEvent;
use nsl_schemas::nkey::PublicKey;
use serde::{Deserialize, Serialize};

use crate::decision::{Order, Rejection, host_aggregate};

/// Most issuers of one tenant: each is held in memory by every processor.
pub const ISSUERS_MAX: usize = 10_000;

/// The state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Authority {
    root: Option<Signed<TenantRoot>>,
    /// The newest grant of each key.
    grants: BTreeMap<PublicKey, Signed<IssuerGrant>>,
}

host_aggregate!(Authority, "authority", AuthorityCommand, AuthorityEvent);

impl Authority {
    /// Of the state's serialised form and meaning: raised with every change to either, or to what `evolve` makes of an
    /// event. A snapshot of another version is never taken.
    pub const STATE_VERSION: u32 = 1;

    /// Decides a command.
    pub fn decide(&self, order: &Order<AuthorityCommand>) -> Result<Vec<AuthorityEvent>, Rejection> {
        match &order.body {
            AuthorityCommand::RegisterRoot(command) => self.register_root(order, command),
            AuthorityCommand::Grant(command) => self.grant(order, command),
        }
    }

    /// Applies a recorded event.
    pub fn evolve(&mut self, event: AuthorityEvent) {
        match event {
            AuthorityEvent::GenesisRecorded(_) => {}
            AuthorityEvent::RootRegistered(event) => self.root = Some(event.root),
            AuthorityEvent::IssuerGranted(event) => {
                self.grants.insert(event.grant.statement.key, event.grant);
            }
        }
    }

    /// The root key, once it is registered.
    pub fn root_key(&self) -> Option<PublicKey> {
        self.root.as_ref().map(|root| root.statement.key)
    }

    /// What `issuer` may do, if it has a grant.
    pub fn grant_of(&self, issuer: &PublicKey) -> Option<&IssuerGrant> {
        self.grants.get(issuer).map(|signed| &signed.statement)
    }

    /// The links by which `issuer` has its grant.
    pub fn chain(&self, issuer: &PublicKey) -> Option<GrantChain> {
        let (root, grant) = (self.root.as_ref()?, self.grants.get(issuer)?);
        Some(GrantChain { root: root.clone(), grant: grant.clone() })
    }
}

#[cfg(test)]
mod tests;
