//! The steps between signature and decision that need no log: authorisation, expiry, rate, typed payload (D5's order).

use std::num::NonZeroU32;
use std::sync::Arc;

use cqrs_es::Aggregate as _;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use nsl_domain::authority::Authority;
use nsl_domain::decision::Genesis;
use nsl_schemas::authority::Quorum;
use nsl_schemas::command::Command;
use nsl_schemas::command::authority::AuthorityCommand;
use nsl_schemas::errors;
use nsl_schemas::token::Tenant;

use crate::directory::Directory;
use crate::intake::{Incoming, Refused};

/// Tenants whose rate is remembered; beyond it, those that have been quiet are forgotten.
const TENANTS_MAX: usize = 10_000;

/// Judges commands before they are decided.
pub struct Admission {
    genesis: Arc<Genesis>,
    tenants: DefaultKeyedRateLimiter<Tenant>,
    clock: DefaultClock,
}

impl Admission {
    /// Allows each tenant so many commands a second, in bursts of as many.
    pub fn new(genesis: Arc<Genesis>, tenant_commands_per_second: NonZeroU32) -> Self {
        let quota = Quota::per_second(tenant_commands_per_second);
        Self { genesis, tenants: RateLimiter::keyed(quota), clock: DefaultClock::default() }
    }

    /// The typed command, or the first no.
    pub fn judge(
        &self,
        incoming: &Incoming,
        directory: &Directory,
        now_ms: u64,
    ) -> Result<Command, Refused> {
        self.authorise(incoming, directory, now_ms)?;
        incoming.check_times(now_ms)?;
        self.check_rate(incoming)?;
        incoming.command()
    }

    /// Whether the issuer may issue the command, as far as the directory knows.
    pub(crate) fn is_authorised(&self, incoming: &Incoming, directory: &Directory, now_ms: u64) -> bool {
        self.authorise(incoming, directory, now_ms).is_ok()
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

    fn check_rate(&self, incoming: &Incoming) -> Result<(), Refused> {
        if self.tenants.len() > TENANTS_MAX {
            self.tenants.retain_recent();
        }
        let Err(not_until) = self.tenants.check_key(&incoming.subject.tenant) else { return Ok(()) };
        let wait = not_until.wait_time_from(self.clock.now());
        let retry_after_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
        let refused = incoming.refuse(errors::RATE_LIMITED, "the tenant's rate is used up");
        Err(Refused { retry_after_ms: Some(retry_after_ms), ..refused })
    }
}
