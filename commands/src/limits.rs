//! How much each tenant and each issuer may ask: commands a second, commands and bytes a day. Buckets that refill evenly,
//! in memory: a processor counts what it takes itself, and a restart fills them.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, NotUntil, Quota, RateLimiter};
use lru::LruCache;
use nsl_schemas::errors::{self, ErrorCode};
use nsl_schemas::nkey::PublicKey;
use nsl_schemas::token::Tenant;

use crate::config::{LimitsConfig, TenantLimits};

/// Tenants whose buckets are kept. Only tenants with a root come this far, and of more than these the longest quiet one
/// begins anew.
const TENANTS_MAX: NonZeroUsize = NonZeroUsize::new(10_000).expect("10,000 is not 0");
/// Issuers of one tenant whose rate is remembered; beyond it, those that have been quiet are forgotten.
const ISSUERS_MAX: usize = 10_000;
/// What quotas refill over.
const DAY: Duration = Duration::from_hours(24);
/// Payloads are counted in units of so many bytes, each begun one whole.
const UNIT_BYTES: usize = 1024;

/// A bucket is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exceeded {
    /// Which kind of limit.
    pub(crate) code: ErrorCode,
    /// Which one.
    pub(crate) what: &'static str,
    /// When it has room again.
    pub(crate) retry_after_ms: u64,
}

/// All buckets.
pub struct Limits {
    config: LimitsConfig,
    tenants: Mutex<LruCache<Tenant, Buckets>>,
    clock: DefaultClock,
}

/// The buckets of one tenant.
struct Buckets {
    issuers: DefaultKeyedRateLimiter<PublicKey>,
    rate: DefaultDirectRateLimiter,
    commands: Option<DefaultDirectRateLimiter>,
    payload: Option<DefaultDirectRateLimiter>,
}

impl Limits {
    /// Full buckets.
    pub fn new(config: LimitsConfig) -> Self {
        let tenants = Mutex::new(LruCache::new(TENANTS_MAX));
        Self { config, tenants, clock: DefaultClock::default() }
    }

    /// Takes a command out of every bucket of its issuer and tenant, or says which has no room.
    pub(crate) fn take(
        &self,
        tenant: &Tenant,
        issuer: &PublicKey,
        payload_bytes: usize,
    ) -> Result<(), Exceeded> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let buckets = tenants.get_or_insert_ref(tenant, || Buckets::new(&self.config.of(tenant)));
        if buckets.issuers.len() > ISSUERS_MAX {
            buckets.issuers.retain_recent();
        }
        // The narrower first: what one issuer asks too much costs its tenant nothing.
        let refused = |code, what| move |not_until: NotUntil<_>| self.exceeded(code, what, &not_until);
        let rate = errors::RATE_LIMITED;
        buckets.issuers.check_key(issuer).map_err(refused(rate, "the issuer's rate is used up"))?;
        buckets.rate.check().map_err(refused(rate, "the tenant's rate is used up"))?;
        let quota = errors::QUOTA_EXCEEDED;
        if let Some(commands) = &buckets.commands {
            commands.check().map_err(refused(quota, "the tenant's commands of a day are used up"))?;
        }
        let Some(payload) = &buckets.payload else { return Ok(()) };
        let units = u32::try_from(payload_bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX);
        let Some(units) = NonZeroU32::new(units) else { return Ok(()) };
        match payload.check_n(units) {
            Ok(taken) => taken.map_err(refused(quota, "the tenant's payload bytes of a day are used up")),
            // Larger than the whole quota: no waiting helps, and a day says so as well as anything.
            Err(_) => Err(Exceeded {
                code: quota,
                what: "the payload is larger than the tenant's quota of a day",
                retry_after_ms: milliseconds(DAY),
            }),
        }
    }

    fn exceeded(
        &self,
        code: ErrorCode,
        what: &'static str,
        not_until: &NotUntil<<DefaultClock as Clock>::Instant>,
    ) -> Exceeded {
        let wait = not_until.wait_time_from(self.clock.now());
        // A client that waits for less than a millisecond would come too early.
        Exceeded { code, what, retry_after_ms: milliseconds(wait) + 1 }
    }
}

impl Buckets {
    fn new(limits: &TenantLimits) -> Self {
        let a_day = |most: NonZeroU32| {
            // Never zero: u32::MAX a day is one every 20 microseconds.
            let quota = Quota::with_period(DAY / most.get()).unwrap_or(Quota::per_second(most));
            RateLimiter::direct(quota.allow_burst(most))
        };
        Self {
            issuers: RateLimiter::keyed(Quota::per_second(limits.issuer_commands_per_second)),
            rate: RateLimiter::direct(Quota::per_second(limits.commands_per_second)),
            commands: limits.commands_per_day.map(a_day),
            payload: limits.payload_kib_per_day.map(a_day),
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nsl_schemas::nkey::SigningKey;

    fn limits(text: &str) -> Limits {
        Limits::new(toml::from_str(text).unwrap())
    }

    fn tenant(name: &str) -> Tenant {
        Tenant::parse(name).unwrap()
    }

    fn issuer(number: u8) -> PublicKey {
        SigningKey::from_seed(&[number; 32]).public()
    }

    const WIDE: &str = "[default]\ncommands_per_second = 1000000\nissuer_commands_per_second = 1000000\n";

    #[test]
    fn a_tenant_over_its_rate_is_told_when_to_come_back_and_costs_others_nothing() {
        let limits = limits("[default]\ncommands_per_second = 1\nissuer_commands_per_second = 1000");
        assert_eq!(limits.take(&tenant("acme"), &issuer(1), 10), Ok(()));
        let refused = limits.take(&tenant("acme"), &issuer(2), 10).unwrap_err();
        assert_eq!(refused.code, errors::RATE_LIMITED);
        assert!((1..=1001).contains(&refused.retry_after_ms), "{refused:?}");
        assert_eq!(limits.take(&tenant("other"), &issuer(2), 10), Ok(()));
    }

    #[test]
    fn an_issuer_over_its_rate_leaves_the_rest_to_its_tenant() {
        let limits = limits("[default]\ncommands_per_second = 2\nissuer_commands_per_second = 1");
        assert_eq!(limits.take(&tenant("acme"), &issuer(1), 10), Ok(()));
        for _ in 0..3 {
            assert_eq!(limits.take(&tenant("acme"), &issuer(1), 10).unwrap_err().code, errors::RATE_LIMITED);
        }
        assert_eq!(limits.take(&tenant("acme"), &issuer(2), 10), Ok(()));
    }

    #[test]
    fn quotas_of_a_day_are_another_code_and_another_wait() {
        let text = format!("{WIDE}commands_per_day = 2\n");
        let by_count = limits(&text);
        let text = format!("{WIDE}payload_kib_per_day = 3\n");
        let by_bytes = limits(&text);
        for (limits, bytes) in [(by_count, 10), (by_bytes, 1025)] {
            let answers: Vec<_> = (0..3).map(|_| limits.take(&tenant("acme"), &issuer(1), bytes)).collect();
            assert!(answers[0].is_ok());
            let refused = answers[2].unwrap_err();
            assert_eq!(refused.code, errors::QUOTA_EXCEEDED);
            assert!(refused.retry_after_ms > 60_000, "{refused:?}");
        }
    }

    #[test]
    fn a_tenant_of_its_own_has_its_own_limits_and_the_default_for_the_rest() {
        let limits = limits(&format!("{WIDE}[tenants.acme]\ncommands_per_second = 1\n"));
        assert_eq!(limits.take(&tenant("acme"), &issuer(1), 10), Ok(()));
        assert!(limits.take(&tenant("acme"), &issuer(1), 10).is_err());
        for _ in 0..100 {
            assert_eq!(limits.take(&tenant("other"), &issuer(1), 10), Ok(()));
        }
    }

    #[test]
    fn a_payload_larger_than_the_quota_is_refused() {
        let limits = limits(&format!("{WIDE}payload_kib_per_day = 1\n"));
        assert_eq!(limits.take(&tenant("acme"), &issuer(1), 4096).unwrap_err().code, errors::QUOTA_EXCEEDED);
        assert_eq!(limits.take(&tenant("acme"), &issuer(1), 1024), Ok(()));
    }
}
