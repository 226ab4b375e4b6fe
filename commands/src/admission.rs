//! The steps between signature and decision that need no log: authorisation, expiry, rate, typed payload (D5's order).

use std::num::NonZeroU32;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use nsl_schemas::command::Command;
use nsl_schemas::command::authority::AUTHORITY_ID;
use nsl_schemas::errors;
use nsl_schemas::token::Tenant;

use crate::directory::Directory;
use crate::intake::{Incoming, Refused};

/// Judges commands before they are decided.
pub(crate) struct Admission {
    tenants: DefaultKeyedRateLimiter<Tenant>,
    clock: DefaultClock,
}

impl Admission {
    /// Allows each tenant so many commands a second, in bursts of as many.
    pub(crate) fn new(tenant_commands_per_second: NonZeroU32) -> Self {
        let quota = Quota::per_second(tenant_commands_per_second);
        Self { tenants: RateLimiter::keyed(quota), clock: DefaultClock::default() }
    }

    /// The typed command, or the first no.
    pub(crate) fn judge(
        &self,
        incoming: &Incoming,
        directory: &Directory,
        now_ms: u64,
    ) -> Result<Command, Refused> {
        let subject = &incoming.subject;
        // Statements of authority prove themselves, so whoever delivers one needs no grant.
        let proves_itself = subject.aggregate.as_str() == "authority" && subject.id.as_str() == AUTHORITY_ID;
        if !proves_itself && !directory.is_authorised(&incoming.signed.envelope.issuer, subject, now_ms) {
            return Err(incoming.refuse(errors::NOT_AUTHORISED, "the issuer has no grant for this command"));
        }
        incoming.check_times(now_ms)?;
        if let Err(not_until) = self.tenants.check_key(&subject.tenant) {
            let wait = not_until.wait_time_from(self.clock.now());
            let retry_after_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
            let refused = incoming.refuse(errors::RATE_LIMITED, "the tenant's rate is used up");
            return Err(Refused { retry_after_ms: Some(retry_after_ms), ..refused });
        }
        incoming.command()
    }
}
