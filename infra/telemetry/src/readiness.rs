//! Whether a process can do its work now: named checks, asked at each `/readyz`, and gates that its tasks set.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::watch;

/// A probe of Kubernetes gives up after its own timeout (often one second); a check that hangs is not ready.
const CHECK_TIMEOUT: Duration = Duration::from_millis(800);

type CheckResult = Result<(), String>;
type Check = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = CheckResult> + Send>> + Send + Sync>;

/// The named checks of a process. Clones share them.
#[derive(Clone, Default)]
pub struct Readiness {
    checks: Arc<RwLock<Vec<(String, Check)>>>,
}

/// The outcome of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckOutcome {
    /// The name under which it was registered.
    pub name: String,
    /// Why not ready, where it is not.
    pub result: Result<(), String>,
}

/// A readiness condition that a task sets; closed, with a reason, until it is opened.
#[derive(Debug, Clone)]
pub struct Gate {
    state: Arc<watch::Sender<CheckResult>>,
}

impl Gate {
    /// From now on this condition holds.
    pub fn open(&self) {
        self.set(Ok(()));
    }

    /// From now on this condition does not hold, for this reason.
    pub fn close(&self, reason: impl Into<String>) {
        self.set(Err(reason.into()));
    }

    fn set(&self, state: CheckResult) {
        self.state.send_modify(|current| *current = state);
    }
}

impl Readiness {
    /// Registers a check that is asked at each probe.
    pub fn register<F, Fut>(&self, name: impl Into<String>, check: F)
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = CheckResult> + Send + 'static,
    {
        let check: Check = Arc::new(move || Box::pin(check()));
        self.checks.write().unwrap_or_else(PoisonError::into_inner).push((name.into(), check));
    }

    /// Registers a condition that a task opens and closes; it begins closed with `reason`.
    pub fn gate(&self, name: impl Into<String>, reason: impl Into<String>) -> Gate {
        let state = Arc::new(watch::Sender::new(Err(reason.into())));
        let seen = Arc::clone(&state);
        self.register(name, move || std::future::ready(seen.borrow().clone()));
        Gate { state }
    }

    /// Asks all checks at once, each for a bounded time; outcomes in the order of registration.
    pub async fn check(&self) -> Vec<CheckOutcome> {
        self.check_within(CHECK_TIMEOUT).await
    }

    async fn check_within(&self, timeout: Duration) -> Vec<CheckOutcome> {
        let checks = self.checks.read().unwrap_or_else(PoisonError::into_inner).clone();
        futures::future::join_all(checks.into_iter().map(|(name, check)| async move {
            let result = tokio::time::timeout(timeout, check())
                .await
                .unwrap_or_else(|_| Err(format!("no answer within {} ms", timeout.as_millis())));
            CheckOutcome { name, result }
        }))
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_gate_is_closed_until_its_task_opens_it() {
        let readiness = Readiness::default();
        let gate = readiness.gate("projection", "starting");
        assert_eq!(readiness.check().await[0].result, Err("starting".to_owned()));
        gate.open();
        assert_eq!(readiness.check().await[0].result, Ok(()));
        gate.close("behind by 9 events");
        assert_eq!(readiness.check().await[0].result, Err("behind by 9 events".to_owned()));
    }

    #[tokio::test]
    async fn a_check_that_hangs_is_not_ready_and_delays_no_other() {
        let readiness = Readiness::default();
        readiness.register("database", std::future::pending);
        readiness.register("bus", || std::future::ready(Ok(())));
        let outcomes = readiness.check_within(Duration::ZERO).await;
        assert!(outcomes[0].result.as_ref().is_err_and(|reason| reason.contains("0 ms")), "{outcomes:?}");
        assert_eq!(outcomes[1], CheckOutcome { name: "bus".to_owned(), result: Ok(()) });
    }
}
