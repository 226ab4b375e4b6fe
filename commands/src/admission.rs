//! The steps between signature and decision that need no log: authorisation, expiry, limits, typed payload (D5's order).

use std::sync::Arc;

use cqrs_es::Aggregate as _;
use nsl_domain::authority::Authority;
use nsl_domain::decision::Genesis;
use nsl_schemas::authority::Quorum;
use nsl_schemas::command::Command;
use nsl_schemas::command::authority::AuthorityCommand;
use nsl_schemas::errors;

use crate::directory::Directory;
use crate::intake::{Incoming, Refused};
use crate::limits::Limits;

/// Judges commands before they are decided.
pub struct Admission {
    genesis: Arc<Genesis>,
    limits: Limits,
}

impl Admission {
    /// Admits what the manifest's authorities allow, within the limits.
    pub fn new(genesis: Arc<Genesis>, limits: Limits) -> Self {
        Self { genesis, limits }
    }

    /// The typed command, or the first no.
    pub fn judge(&self, incoming: &Incoming, directory: &Directory, now_ms: u64) -> Result<Command, Refused> {
        self.authorise(incoming, directory, now_ms)?;
        incoming.check_times(now_ms)?;
        self.check_limits(incoming)?;
        incoming.command()
    }

    /// Nothing is recorded before this: not even a rejection, or anyone could fill the log.
    fn authorise(&self, incoming: &Incoming, directory: &Directory, now_ms: u64) -> Result<(), Refused> {
        let subject = &incoming.subject;
        if subject.aggregate.as_str() == Authority::TYPE {
            return self.check_statement(incoming, directory);
        }
        if directory.is_authorised(&incoming.signed.envelope.issuer, subject, now_ms) {
            Ok(())
        } else {
            Err(incoming.refuse(errors::NOT_AUTHORISED, "the issuer has no grant for this command"))
        }
    }

    /// Statements of authority prove themselves, so whoever delivers one needs no grant.
    fn check_statement(&self, incoming: &Incoming, directory: &Directory) -> Result<(), Refused> {
        let is_proven = match incoming.command()? {
            Command::Authority(command) => match *command {
                AuthorityCommand::RegisterRoot(command) => {
                    command.root.is_signed_by(&self.genesis.manifest.quorum)
                }
                AuthorityCommand::Grant(command) => directory
                    .root_key(&incoming.subject.tenant)
                    .is_some_and(|key| command.grant.is_signed_by(&Quorum { threshold: 1, keys: vec![key] })),
            },
            Command::PriceFeed(_) | Command::Wallet(_) | Command::Worker(_) => false,
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
