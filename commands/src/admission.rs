//! The steps between signature and decision that need no log: authorisation, expiry, limits, typed payload (D5's order).

use cqrs_es::Aggregate as _;
use nsl_domain::authority::Authority;
use nsl_domain::sealing::Sealing;
use nsl_schemas::authority::Quorum;
use nsl_schemas::command::Command;
use nsl_schemas::command::authority::AuthorityCommand;
use nsl_schemas::command::sealing::SealingCommand;
use nsl_schemas::errors;

use crate::directory::Directory;
use crate::intake::{Incoming, Refused};
use crate::limits::Limits;

/// Judges commands before they are decided.
pub struct Admission {
    limits: Limits,
}

impl Admission {
    /// Admits what the directory's authorities allow, within the limits.
    pub fn new(limits: Limits) -> Self {
        Self { limits }
    }

    /// The typed command, or the first no.
    pub fn judge(&self, incoming: &Incoming, directory: &Directory, now_ms: u64) -> Result<Command, Refused> {
        Self::authorise(incoming, directory, now_ms)?;
        incoming.check_times(now_ms)?;
        self.check_limits(incoming)?;
        incoming.command()
    }

    /// Nothing is recorded before this: not even a rejection, or anyone could fill the log.
    fn authorise(incoming: &Incoming, directory: &Directory, now_ms: u64) -> Result<(), Refused> {
        let subject = &incoming.subject;
        if [Authority::TYPE, Sealing::TYPE].contains(&subject.aggregate.as_str()) {
            return Self::check_statement(incoming, directory);
        }
        if directory.is_authorised(&incoming.signed.envelope.issuer, subject, now_ms) {
            Ok(())
        } else {
            Err(incoming.refuse(errors::NOT_AUTHORISED, "the issuer has no grant for this command"))
        }
    }

    /// Statements of authority and records of sealing keys prove themselves, so whoever delivers one needs no grant.
    fn check_statement(incoming: &Incoming, directory: &Directory) -> Result<(), Refused> {
        let operators = directory.operators();
        let root = directory.root_key(&incoming.subject.tenant);
        let root = root.map(|key| Quorum { threshold: 1, keys: vec![key] });
        let is_root_met = |is_signed: &dyn Fn(&Quorum) -> bool| root.as_ref().is_some_and(is_signed);
        let is_proven = match incoming.command()? {
            Command::Authority(command) => match &*command {
                AuthorityCommand::RegisterRoot(command) => command.root.is_signed_by(operators.quorum()),
                AuthorityCommand::Grant(command) => is_root_met(&|root| command.grant.is_signed_by(root)),
                AuthorityCommand::Revoke(command) => {
                    is_root_met(&|root| command.revocation.is_signed_by(root))
                }
                AuthorityCommand::AllowBuild(_)
                | AuthorityCommand::RevokeBuild(_)
                | AuthorityCommand::RevokeWorker(_)
                | AuthorityCommand::ReplaceQuorum(_)
                | AuthorityCommand::EstablishPool(_) => {
                    command.operator_act().is_some_and(|act| act.is_signed_by(operators.quorum()))
                }
            },
            Command::Sealing(command) => {
                let SealingCommand::RecordKey(command) = *command;
                let statement = &command.record.statement;
                statement.order.check_new(&operators).is_ok() && statement.check(&operators).is_ok()
            }
            Command::PriceFeed(_) | Command::Secret(_) | Command::Wallet(_) | Command::Worker(_) => false,
        };
        if is_proven {
            Ok(())
        } else {
            Err(incoming.refuse(errors::NOT_AUTHORISED, "the statement is not signed by who must sign it"))
        }
    }

    /// After authorisation: whoever has no grant uses up nobody's.
    fn check_limits(&self, incoming: &Incoming) -> Result<(), Refused> {
        let (tenant, issuer) = (&incoming.subject.tenant, &incoming.signed.envelope.issuer);
        self.limits.take(tenant, issuer, incoming.signed.payload.len()).map_err(|exceeded| Refused {
            retry_after_ms: Some(exceeded.retry_after_ms),
            ..incoming.refuse(exceeded.code, exceeded.what)
        })
    }
}
