//! Statements of authority on their way between the people who sign them: one makes it, each signs it where his key is,
//! anybody delivers it.

use nsl_schemas::authority::{
    ActError, ChainError, GrantRevocation, IssuerGrant, KeySignature, OperatorAct, OperatorStatement,
    Operators, Signed, Statement, TenantRoot,
};
use nsl_schemas::bytes::Base64;
use nsl_schemas::canonical;
use nsl_schemas::command::authority::{
    AUTHORITY_ID, AllowBuild, AuthorityCommand, EstablishPool, Grant, RegisterRoot, ReplaceQuorum, Revoke,
    RevokeBuild, RevokeWorker,
};
use nsl_schemas::envelope::statement_bytes;
use nsl_schemas::nkey::SigningKey;
use nsl_schemas::subject::CommandSubject;
use nsl_schemas::token::{AggregateId, AggregateType, Tenant, Verb};
use serde::{Deserialize, Serialize};

/// A statement before it is signed, as it stands in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "statement", deny_unknown_fields)]
pub enum Unsigned {
    /// The operators name a tenant's root.
    #[serde(rename = "nsl-tenant-root-v1")]
    TenantRoot(TenantRoot),
    /// A root lets a key issue commands.
    #[serde(rename = "nsl-issuer-grant-v1")]
    IssuerGrant(IssuerGrant),
    /// A root takes that back.
    #[serde(rename = "nsl-grant-revocation-v1")]
    GrantRevocation(GrantRevocation),
    /// The operators act.
    #[serde(rename = "nsl-operator-act-v1")]
    OperatorAct(OperatorStatement),
}

/// Why the service would not take a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operators' act does not count.
    #[error(transparent)]
    Act(#[from] ActError),
    /// The root does not count.
    #[error(transparent)]
    Root(#[from] ChainError),
}

/// A command that delivers a signed statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Where to.
    pub subject: CommandSubject,
    /// The payload, canonical.
    pub payload: String,
}

impl Unsigned {
    /// Signs it with one key.
    pub fn sign(&self, key: &SigningKey) -> KeySignature {
        fn message<T: Statement>(statement: &T) -> Vec<u8> {
            statement_bytes(T::TAG, statement)
        }
        let message = match self {
            Self::TenantRoot(statement) => message(statement),
            Self::IssuerGrant(statement) => message(statement),
            Self::GrantRevocation(statement) => message(statement),
            Self::OperatorAct(statement) => message(statement),
        };
        KeySignature { key: key.public(), signature: Base64(key.sign(&message).to_vec()) }
    }

    /// The aggregate and verb that take it.
    pub fn subject(&self) -> CommandSubject {
        let (tenant, verb) = match self {
            Self::TenantRoot(statement) => (statement.tenant.clone(), "register-root"),
            Self::IssuerGrant(statement) => (statement.tenant.clone(), "grant"),
            Self::GrantRevocation(statement) => (statement.tenant.clone(), "revoke"),
            Self::OperatorAct(statement) => (Tenant::system(), verb_of(&statement.act)),
        };
        let literal = "a literal of permitted characters";
        CommandSubject {
            tenant,
            aggregate: AggregateType::parse("authority").expect(literal),
            id: AggregateId::parse(AUTHORITY_ID).expect(literal),
            verb: Verb::parse(verb).expect(literal),
        }
    }

    /// The command that delivers it with these signatures. What the operators must sign is checked against `operators`;
    /// what a tenant's root must sign, the service knows.
    pub fn deliver(self, signatures: Vec<KeySignature>, operators: &Operators) -> Result<Delivery, Error> {
        let subject = self.subject();
        let payload = match self {
            Self::TenantRoot(statement) => {
                let root = Signed { statement, signatures };
                operators.check_root(&root)?;
                canonical::to_string(&RegisterRoot { root })
            }
            Self::IssuerGrant(statement) => {
                canonical::to_string(&Grant { grant: Signed { statement, signatures } })
            }
            Self::GrantRevocation(statement) => {
                canonical::to_string(&Revoke { revocation: Signed { statement, signatures } })
            }
            Self::OperatorAct(statement) => {
                let act = Signed { statement, signatures };
                operators.check(&act)?;
                act_payload(act)
            }
        };
        Ok(Delivery { subject, payload })
    }
}

fn verb_of(act: &OperatorAct) -> &'static str {
    match act {
        OperatorAct::AllowBuild { .. } => "allow-build",
        OperatorAct::RevokeBuild { .. } => "revoke-build",
        OperatorAct::RevokeWorker { .. } => "revoke-worker",
        OperatorAct::ReplaceQuorum { .. } => "replace-quorum",
        OperatorAct::EstablishPool { .. } => "establish-pool",
    }
}

fn act_payload(act: Signed<OperatorStatement>) -> String {
    match act.statement.act {
        OperatorAct::AllowBuild { .. } => canonical::to_string(&AllowBuild { act }),
        OperatorAct::RevokeBuild { .. } => canonical::to_string(&RevokeBuild { act }),
        OperatorAct::RevokeWorker { .. } => canonical::to_string(&RevokeWorker { act }),
        OperatorAct::ReplaceQuorum { .. } => canonical::to_string(&ReplaceQuorum { act }),
        OperatorAct::EstablishPool { .. } => canonical::to_string(&EstablishPool { act }),
    }
}

/// The statement that a command of an authority delivers.
pub fn statement_of(command: AuthorityCommand) -> Unsigned {
    match command {
        AuthorityCommand::RegisterRoot(command) => Unsigned::TenantRoot(command.root.statement),
        AuthorityCommand::Grant(command) => Unsigned::IssuerGrant(command.grant.statement),
        AuthorityCommand::Revoke(command) => Unsigned::GrantRevocation(command.revocation.statement),
        AuthorityCommand::AllowBuild(AllowBuild { act })
        | AuthorityCommand::RevokeBuild(RevokeBuild { act })
        | AuthorityCommand::RevokeWorker(RevokeWorker { act })
        | AuthorityCommand::ReplaceQuorum(ReplaceQuorum { act })
        | AuthorityCommand::EstablishPool(EstablishPool { act }) => Unsigned::OperatorAct(act.statement),
    }
}

#[cfg(test)]
mod tests {
    use nsl_schemas::authority::{Build, GenesisManifest};
    use nsl_schemas::bytes::{Pcr, Sha256};
    use nsl_schemas::command::Command;
    use nsl_test_site::{key, manifest, quorum};

    use super::*;

    /// Two of the keys 1, 2 and 3.
    fn operators() -> Operators {
        let manifest = manifest(Sha256([0; 32]), vec![]);
        Operators::of_genesis(&GenesisManifest { quorum: quorum(2, &[1, 2, 3]), ..manifest })
    }

    fn build() -> Build {
        Build { name: "next".into(), pcr0: Pcr([1; 48]), pcr1: Pcr([2; 48]), pcr2: Pcr([3; 48]) }
    }

    fn statements() -> Vec<Unsigned> {
        let (operators, tenant) = (operators(), Tenant::parse("acme").unwrap());
        let genesis_sha256 = operators.genesis_sha256();
        let key = key(9).public();
        let grant = IssuerGrant {
            genesis_sha256,
            tenant: tenant.clone(),
            key,
            label: "l".into(),
            scopes: vec![],
            not_before_ms: 1,
            expires_at_ms: 2,
        };
        let acts = [OperatorAct::AllowBuild { build: build() }, OperatorAct::RevokeWorker { key }];
        let acts = acts.map(|act| Unsigned::OperatorAct(operators.next(act, 1)));
        let mut statements = vec![
            Unsigned::TenantRoot(TenantRoot {
                epoch: 0,
                genesis_sha256,
                tenant: tenant.clone(),
                key,
                issued_at_ms: 1,
            }),
            Unsigned::IssuerGrant(grant),
            Unsigned::GrantRevocation(GrantRevocation { genesis_sha256, key, revoked_at_ms: 1, tenant }),
        ];
        statements.extend(acts);
        statements
    }

    #[test]
    fn statements_travel_as_files_and_arrive_as_commands() {
        for statement in statements() {
            let file = canonical::to_string(&statement);
            let read: Unsigned = canonical::from_slice(file.as_bytes()).unwrap();
            assert_eq!(read, statement);
            let signatures = vec![read.sign(&key(1)), read.sign(&key(3))];
            let Delivery { subject, payload } = read.deliver(signatures, &operators()).unwrap();
            let Command::Authority(command) = Command::parse(&subject, payload.as_bytes()).unwrap() else {
                panic!("{subject}")
            };
            assert_eq!(statement_of(*command), statement);
        }
    }

    #[test]
    fn what_too_few_operators_signed_is_not_sent() {
        for statement in statements() {
            let is_the_operators = matches!(statement, Unsigned::TenantRoot(_) | Unsigned::OperatorAct(_));
            for signers in [&[1][..], &[2, 2], &[1, 9]] {
                let signatures = signers.iter().map(|number| statement.sign(&key(*number))).collect();
                let delivered = statement.clone().deliver(signatures, &operators());
                assert_eq!(delivered.is_err(), is_the_operators, "{statement:?}");
            }
        }
    }
}
