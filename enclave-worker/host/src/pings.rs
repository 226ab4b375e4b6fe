//! Asks every worker now and then whether it is there. A connection leads to one process for all its life, and that one
//! was attested when the connection was made, so what answers here is still what was admitted.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use nsl_enclave_protocol::channel::Health;
use nsl_enclave_protocol::pool::MemberHealth;
use nsl_enclave_protocol::{Endpoint, Pool, Request};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Pings in a row that a worker may miss: one may be lost to load, a second to chance. As many open its breaker.
const MISSES_MAX: u32 = 3;

/// The pings that each worker has missed in a row. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pings {
    missed: Arc<Mutex<BTreeMap<Endpoint, u32>>>,
}

impl Pings {
    /// Pings all members of `pool` until `stop`.
    pub(crate) async fn run(self, pool: Pool, every: Duration, timeout: Duration, stop: CancellationToken) {
        let mut turns = tokio::time::interval(every);
        turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while stop.run_until_cancelled(turns.tick()).await.is_some() {
            let endpoints: Vec<Endpoint> = pool.health().into_iter().map(|member| member.endpoint).collect();
            self.missed().retain(|endpoint, _| endpoints.contains(endpoint));
            join_all(endpoints.into_iter().map(|endpoint| self.ping(&pool, endpoint, timeout))).await;
        }
    }

    async fn ping(&self, pool: &Pool, endpoint: Endpoint, timeout: Duration) {
        let asked = pool.probe(&endpoint, Request::Describe.to_bytes(), Instant::now() + timeout).await;
        match asked {
            None => {}
            Some(Ok(_)) => self.forget(&endpoint),
            Some(Err(error)) => {
                tracing::debug!(%endpoint, error = &error as &dyn std::error::Error, "worker missed a ping");
                *self.missed().entry(endpoint).or_default() += 1;
            }
        }
    }

    /// Whether it has missed too many.
    pub(crate) fn is_given_up(&self, endpoint: &Endpoint) -> bool {
        self.missed().get(endpoint).is_some_and(|missed| *missed >= MISSES_MAX)
    }

    /// Begins anew with a worker: it answered, or has just come.
    pub(crate) fn forget(&self, endpoint: &Endpoint) {
        self.missed().remove(endpoint);
    }

    /// Plain data that no panic leaves half changed.
    fn missed(&self) -> MutexGuard<'_, BTreeMap<Endpoint, u32>> {
        self.missed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a member is not connected; `None` while it is.
pub(crate) fn why_not_connected(member: &MemberHealth) -> Option<String> {
    let cause = match &member.connection {
        Health::Ready => return None,
        Health::Connecting(None) => return Some("connecting".to_owned()),
        Health::Connecting(Some(cause)) => cause,
    };
    let causes = std::iter::successors(Some(&**cause as &dyn std::error::Error), |error| error.source());
    Some(causes.map(ToString::to_string).collect::<Vec<_>>().join(": "))
}
