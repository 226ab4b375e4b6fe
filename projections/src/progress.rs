//! How far a follower of the log is, as the rest of the process sees it: readiness, metrics, answers, waiting readers.

use std::sync::Arc;
use std::time::Duration;

use nsl_schemas::query::ProjectionStatus;
use nsl_telemetry::readiness::Gate;
use nsl_telemetry::{Metrics, Readiness, metrics};
use prometheus::{IntGauge, IntGaugeVec};
use tokio::sync::watch;

/// How long a follower rests after a failure that may pass: a restarted database or bus is found soon, and the log is
/// not flooded.
pub const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// The gauges of all followers.
#[derive(Debug, Clone)]
pub struct Gauges {
    lag: IntGaugeVec,
    position: IntGaugeVec,
}

impl Gauges {
    /// Registers them.
    pub fn new(metrics: &Metrics) -> Result<Self, metrics::Error> {
        let labels = ["projection"];
        Ok(Self {
            lag: metrics.gauge("projection_lag_events", "Events that are not applied yet.", &labels)?,
            position: metrics.gauge("projection_position", "Position of the last applied event.", &labels)?,
        })
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct State {
    position: u64,
    head: u64,
    error: Option<String>,
}

/// Shows how far one follower is. Clones show the same.
#[derive(Debug, Clone)]
pub struct Progress {
    name: &'static str,
    state: Arc<watch::Sender<State>>,
    gate: Gate,
    lag: IntGauge,
    position: IntGauge,
}

impl Progress {
    /// A follower that has not begun: not ready.
    pub fn new(name: &'static str, gauges: &Gauges, readiness: &Readiness) -> Self {
        Self {
            name,
            state: Arc::new(watch::Sender::default()),
            gate: readiness.gate(format!("projection {name}"), "starting"),
            lag: gauges.lag.with_label_values(&[name]),
            position: gauges.position.with_label_values(&[name]),
        }
    }

    /// The follower's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// It works, and is here.
    pub fn at(&self, position: u64, head: u64) {
        self.set(State { position, head: head.max(position), error: None });
        self.gate.open();
    }

    /// It does not get on, for this reason; where it is and where the log is, as far as that can be told now.
    pub fn blocked(&self, reason: &str, position: Option<u64>, head: Option<u64>) {
        let known = self.status();
        let (position, head) = (position.unwrap_or(known.position), head.unwrap_or(known.head));
        self.set(State { position, head, error: Some(reason.to_owned()) });
        self.gate.close(reason);
    }

    /// For an answer.
    pub fn status(&self) -> ProjectionStatus {
        let State { position, head, error } = self.state.borrow().clone();
        ProjectionStatus { name: self.name.to_owned(), position, head, error }
    }

    /// Waits until it holds `position`; false if that takes longer than `patience`.
    pub async fn reaches(&self, position: u64, patience: Duration) -> bool {
        let mut state = self.state.subscribe();
        let reached = state.wait_for(|state| state.position >= position);
        matches!(tokio::time::timeout(patience, reached).await, Ok(Ok(_)))
    }

    /// Waits until it holds more than `position`.
    pub async fn passes(&self, position: u64) {
        let mut state = self.state.subscribe();
        // The sender lives as long as self.
        let _ = state.wait_for(|state| state.position > position).await;
    }

    fn set(&self, state: State) {
        self.position.set(gauge(state.position));
        self.lag.set(gauge(state.head.saturating_sub(state.position)));
        self.state.send_replace(state);
    }
}

fn gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// An error with its causes in one line, for those who see no log.
pub(crate) fn described(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress() -> (Progress, Readiness, Metrics) {
        let (metrics, readiness) = (Metrics::new().unwrap(), Readiness::default());
        let gauges = Gauges::new(&metrics).unwrap();
        (Progress::new("wallets", &gauges, &readiness), readiness, metrics)
    }

    #[tokio::test]
    async fn a_blocked_follower_is_not_ready_and_says_why_and_how_far_it_lags() {
        let (progress, readiness, metrics) = progress();
        assert_eq!(readiness.check().await[0].result, Err("starting".to_owned()));
        progress.at(4, 4);
        assert_eq!(readiness.check().await[0].result, Ok(()));
        progress.blocked("event 5 cannot be read", None, Some(9));
        assert_eq!(readiness.check().await[0].result, Err("event 5 cannot be read".to_owned()));
        let status = progress.status();
        assert_eq!((status.position, status.head), (4, 9));
        assert_eq!(status.error.as_deref(), Some("event 5 cannot be read"));
        let text = String::from_utf8(metrics.encode().unwrap()).unwrap();
        assert!(text.contains("nsl_projection_lag_events{projection=\"wallets\"} 5"), "{text}");
        assert!(text.contains("nsl_projection_position{projection=\"wallets\"} 4"), "{text}");
    }

    #[tokio::test]
    async fn a_reader_waits_for_its_position_but_not_for_ever() {
        let (progress, _, _) = progress();
        progress.at(4, 4);
        assert!(progress.reaches(4, Duration::ZERO).await);
        assert!(!progress.reaches(5, Duration::ZERO).await);
        let waiting = progress.clone();
        let waiter = tokio::spawn(async move { waiting.reaches(5, Duration::from_mins(1)).await });
        progress.at(6, 6);
        assert!(waiter.await.unwrap());
    }
}
