//! A tenant's authority: its root key, named by the operators' quorum, and the keys that the root lets issue commands.
//! The system tenant's holds the operators' acts besides.

mod grant;
mod operator_act;
mod register_root;
mod revoke;

use std::collections::BTreeMap;

use nsl_schemas::authority::{
    GrantChain, GrantRevocation, IssuerGrant, OperatorStatement, Operators, Signed, TenantRoot,
};
use nsl_schemas::command::authority::AuthorityCommand;
use nsl_schemas::event::authority::{
    AuthorityEvent, BuildAllowed, BuildRevoked, PoolEstablished, QuorumReplaced, WorkerRevoked,
};
use nsl_schemas::nkey::PublicKey;
use serde::{Deserialize, Serialize};

use crate::decision::{Order, Rejection, host_aggregate};

/// Most issuers of one tenant, and most revocations: each is held in memory by every processor.
pub const ISSUERS_MAX: usize = 10_000;

/// The state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Authority {
    root: Option<Signed<TenantRoot>>,
    /// The newest grant of each key.
    grants: BTreeMap<PublicKey, Signed<IssuerGrant>>,
    /// The newest revocation of each key.
    revocations: BTreeMap<PublicKey, Signed<GrantRevocation>>,
    /// What manifest and acts come to; only where the manifest was recorded.
    operators: Option<Operators>,
}

host_aggregate!(Authority, "authority", AuthorityCommand, AuthorityEvent);

impl Authority {
    /// Of the state's serialised form and meaning: raised with every change to either, or to what `evolve` makes of an
    /// event. A snapshot of another version is never taken.
    pub const STATE_VERSION: u32 = 3;

    /// Decides a command.
    pub fn decide(&self, order: &Order<AuthorityCommand>) -> Result<Vec<AuthorityEvent>, Rejection> {
        match &order.body {
            AuthorityCommand::RegisterRoot(command) => self.register_root(order, command),
            AuthorityCommand::Grant(command) => self.grant(order, command),
            AuthorityCommand::Revoke(command) => self.revoke(order, command),
            AuthorityCommand::AllowBuild(command) => self.allow_build(command),
            AuthorityCommand::RevokeBuild(command) => self.revoke_build(command),
            AuthorityCommand::RevokeWorker(command) => self.revoke_worker(command),
            AuthorityCommand::ReplaceQuorum(command) => self.replace_quorum(command),
            AuthorityCommand::EstablishPool(command) => self.establish_pool(command),
        }
    }

    /// Applies a recorded event.
    pub fn evolve(&mut self, event: AuthorityEvent) {
        match event {
            AuthorityEvent::GenesisRecorded(event) => {
                self.operators = Some(Operators::of_genesis(&event.manifest.statement));
            }
            AuthorityEvent::RootRegistered(event) => self.take_root(event.root),
            AuthorityEvent::IssuerGranted(event) => {
                self.grants.insert(event.grant.statement.key, event.grant);
            }
            AuthorityEvent::IssuerRevoked(event) => {
                self.revocations.insert(event.revocation.statement.key, event.revocation);
            }
            AuthorityEvent::BuildAllowed(BuildAllowed { act })
            | AuthorityEvent::BuildRevoked(BuildRevoked { act })
            | AuthorityEvent::WorkerRevoked(WorkerRevoked { act })
            | AuthorityEvent::QuorumReplaced(QuorumReplaced { act })
            | AuthorityEvent::PoolEstablished(PoolEstablished { act }) => self.take_act(&act.statement),
        }
    }

    /// What another root granted is nobody's any more.
    fn take_root(&mut self, root: Signed<TenantRoot>) {
        if self.root_key() != Some(root.statement.key) {
            self.grants.clear();
            self.revocations.clear();
        }
        self.root = Some(root);
    }

    fn take_act(&mut self, statement: &OperatorStatement) {
        if let Some(operators) = &mut self.operators {
            operators.apply(statement);
        }
    }

    /// What the operators' acts come to; none but in the system tenant's authority, once the log has begun.
    pub fn operators(&self) -> Option<&Operators> {
        self.operators.as_ref()
    }

    /// The root, once it is registered.
    pub fn root(&self) -> Option<&TenantRoot> {
        self.root.as_ref().map(|root| &root.statement)
    }

    /// The root key, once it is registered.
    pub fn root_key(&self) -> Option<PublicKey> {
        self.root.as_ref().map(|root| root.statement.key)
    }

    /// What `issuer` may do, if it has a grant that was not taken back.
    pub fn grant_of(&self, issuer: &PublicKey) -> Option<&IssuerGrant> {
        let grant = self.grants.get(issuer).map(|signed| &signed.statement)?;
        let is_over = self.revocations.get(issuer).is_some_and(|revocation| revocation.statement.ends(grant));
        (!is_over).then_some(grant)
    }

    /// The links by which `issuer` has its grant, and what took it back.
    pub fn chain(&self, issuer: &PublicKey) -> Option<GrantChain> {
        let (root, grant) = (self.root.as_ref()?, self.grants.get(issuer)?);
        let revocation = self.revocations.get(issuer).cloned();
        Some(GrantChain { root: root.clone(), grant: grant.clone(), revocation })
    }
}

#[cfg(test)]
mod tests;
