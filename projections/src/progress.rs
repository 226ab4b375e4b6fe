//! How far a follower of the log is, as the rest of the process sees it: readiness, metrics, answers, waiting readers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nsl_schemas::query::{ProjectionState, ProjectionStatus};
use nsl_telemetry::readiness::Gate;
use nsl_telemetry::{Metrics, Readiness, metrics};
use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::fault::Fault;

/// How often seconds behind and rates are computed.
const TICK: Duration = Duration::from_secs(1);
/// Ticks over which a rate is an average: steady enough to read, short enough to see a stop.
const RATE_TICKS: u32 = 5;

/// The metrics of all followers.
#[derive(Debug, Clone)]
pub struct Gauges {
    lag: IntGaugeVec,
    seconds: IntGaugeVec,
    position: IntGaugeVec,
    events: IntCounterVec,
    rate: IntGaugeVec,
    failed: IntGaugeVec,
    parked: IntGaugeVec,
    building: IntGaugeVec,
}

impl Gauges {
    /// Registers them.
    pub fn new(metrics: &Metrics) -> Result<Self, metrics::Error> {
        let gauge = |name, help| metrics.gauge(name, help, &["projection"]);
        Ok(Self {
            lag: gauge("projection_lag_events", "Positions that are not applied yet.")?,
            seconds: gauge("projection_lag_seconds", "Age of the oldest event that is not applied yet.")?,
            position: gauge("projection_position", "Position of the last applied event.")?,
            events: metrics.counter("projection_events_total", "Applied events.", &["projection"])?,
            rate: gauge("projection_events_per_second", "Events applied lately, per second.")?,
            failed: gauge("projection_failed", "1 where it stopped at a failure.")?,
            parked: gauge("projection_parked", "1 where it waits for a build that knows an event.")?,
            building: gauge("projection_build_position", "Position of the build beside the live one.")?,
        })
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct State {
    position: u64,
    head: u64,
    /// When the oldest event that is not applied yet was recorded.
    waits_since_ms: Option<i64>,
    state: ProjectionState,
    fault: Option<Fault>,
    building: Option<u64>,
}

/// Shows how far one follower is. Clones show the same.
#[derive(Debug, Clone)]
pub struct Progress {
    name: &'static str,
    version: u32,
    state: Arc<watch::Sender<State>>,
    gate: Gate,
    lag: IntGauge,
    seconds: IntGauge,
    position: IntGauge,
    events: IntCounter,
    rate: IntGauge,
    failed: IntGauge,
    parked: IntGauge,
    building: IntGauge,
}

impl Progress {
    /// A follower that has not begun: not ready. `version` is that of its read model; streams have none but 1.
    pub fn new(name: &'static str, version: u32, gauges: &Gauges, readiness: &Readiness) -> Self {
        let of = |gauge: &IntGaugeVec| gauge.with_label_values(&[name]);
        Self {
            name,
            version,
            state: Arc::new(watch::Sender::default()),
            gate: readiness.gate(format!("projection {name}"), "starting"),
            lag: of(&gauges.lag),
            seconds: of(&gauges.seconds),
            position: of(&gauges.position),
            events: gauges.events.with_label_values(&[name]),
            rate: of(&gauges.rate),
            failed: of(&gauges.failed),
            parked: of(&gauges.parked),
            building: of(&gauges.building),
        }
    }

    /// The follower's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// It works, and is here.
    pub fn at(&self, position: u64, head: u64) {
        let head = head.max(position);
        let waits_since_ms = if position < head { self.state.borrow().waits_since_ms } else { None };
        self.set(State {
            position,
            head,
            waits_since_ms,
            state: ProjectionState::Running,
            ..State::default()
        });
        self.gate.open();
    }

    /// It is about to apply an event that was recorded at this time.
    pub(crate) fn waits_since(&self, recorded_at_ms: i64) {
        self.state.send_modify(|state| state.waits_since_ms = Some(recorded_at_ms));
    }

    /// It applied so many events.
    pub(crate) fn applied(&self, events: usize) {
        self.events.inc_by(u64::try_from(events).unwrap_or(u64::MAX));
    }

    /// Its version is being built and is at `built`; questions are answered from another one, which is at `position`.
    pub(crate) fn building(&self, built: u64, position: u64, head: u64) {
        let waits_since_ms = self.state.borrow().waits_since_ms;
        let (state, building) = (ProjectionState::Building, Some(built));
        self.set(State { position, head, waits_since_ms, state, fault: None, building });
        self.gate.close(format!("version {} is being built: {built} of {head}", self.version));
    }

    /// It does not get on, for this reason; where it is and where the log is, as far as that can be told now.
    pub fn blocked(&self, fault: &Fault, position: Option<u64>, head: Option<u64>) {
        let known = self.state.borrow().clone();
        let (position, head) = (position.unwrap_or(known.position), head.unwrap_or(known.head));
        self.set(State { position, head, state: fault.state, fault: Some(fault.clone()), ..known });
        self.gate.close(fault.reason.as_str());
    }

    /// Why it does not get on, if so.
    pub fn fault(&self) -> Option<Fault> {
        self.state.borrow().fault.clone()
    }

    /// For an answer.
    pub fn status(&self) -> ProjectionStatus {
        let State { position, head, waits_since_ms, state, fault, building } = self.state.borrow().clone();
        ProjectionStatus {
            name: self.name.to_owned(),
            version: self.version,
            state,
            position,
            head,
            seconds_behind: seconds_since(waits_since_ms),
            events_per_second: u64::try_from(self.rate.get()).unwrap_or(0),
            building,
            code: fault.as_ref().and_then(Fault::code).map(|code| code.code.to_owned()),
            error: fault.map(|fault| fault.reason),
        }
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
        self.failed.set(i64::from(state.state == ProjectionState::Failed));
        self.parked.set(i64::from(state.state == ProjectionState::Parked));
        self.building.set(gauge(state.building.unwrap_or(0)));
        self.state.send_replace(state);
    }
}

/// Keeps seconds behind and rates of all followers up to date, until `stop`.
pub async fn measure(followers: Vec<Progress>, stop: CancellationToken) {
    let mut counts: Vec<VecDeque<u64>> = vec![VecDeque::new(); followers.len()];
    let mut ticks = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        for (follower, counts) in followers.iter().zip(&mut counts) {
            let waits_since_ms = follower.state.borrow().waits_since_ms;
            follower.seconds.set(gauge(seconds_since(waits_since_ms)));
            follower.rate.set(gauge(rate(counts, follower.events.get())));
        }
    }
}

/// The average over the last ticks, of which this is one more.
fn rate(counts: &mut VecDeque<u64>, now: u64) -> u64 {
    let oldest = counts.front().copied().unwrap_or(now);
    let ticks = u64::try_from(counts.len()).unwrap_or(u64::MAX).max(1);
    counts.push_back(now);
    if ticks >= u64::from(RATE_TICKS) {
        counts.pop_front();
    }
    now.saturating_sub(oldest) / ticks
}

fn seconds_since(recorded_at_ms: Option<i64>) -> u64 {
    let Some(recorded_at_ms) = recorded_at_ms.and_then(|ms| u64::try_from(ms).ok()) else { return 0 };
    let recorded_at = UNIX_EPOCH + Duration::from_millis(recorded_at_ms);
    // A database whose clock is ahead of ours recorded it just now.
    SystemTime::now().duration_since(recorded_at).map_or(0, |age| age.as_secs())
}

fn gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress() -> (Progress, Readiness, Metrics) {
        let (metrics, readiness) = (Metrics::new().unwrap(), Readiness::default());
        let gauges = Gauges::new(&metrics).unwrap();
        (Progress::new("wallets", 2, &gauges, &readiness), readiness, metrics)
    }

    fn fault(state: ProjectionState) -> Fault {
        Fault { state, reason: "event 5 cannot be read".into(), event: None }
    }

    #[tokio::test]
    async fn a_blocked_follower_is_not_ready_and_says_why_and_how_far_it_lags() {
        let (progress, readiness, metrics) = progress();
        assert_eq!(readiness.check().await[0].result, Err("starting".to_owned()));
        progress.at(4, 4);
        assert_eq!(readiness.check().await[0].result, Ok(()));
        progress.waits_since(1_700_000_000_000);
        for (state, code, failed, parked) in [
            (ProjectionState::Failed, Some("projection_failed"), 1, 0),
            (ProjectionState::Parked, Some("projection_parked"), 0, 1),
            (ProjectionState::Waiting, None, 0, 0),
        ] {
            progress.blocked(&fault(state), None, Some(9));
            assert_eq!(readiness.check().await[0].result, Err("event 5 cannot be read".to_owned()));
            let status = progress.status();
            assert_eq!((status.position, status.head, status.version), (4, 9, 2));
            assert_eq!((status.state, status.code.as_deref()), (state, code));
            assert_eq!(status.error.as_deref(), Some("event 5 cannot be read"));
            assert!(status.seconds_behind > 1_000_000, "{}", status.seconds_behind);
            let text = String::from_utf8(metrics.encode().unwrap()).unwrap();
            for line in [
                "nsl_projection_lag_events{projection=\"wallets\"} 5".to_owned(),
                "nsl_projection_position{projection=\"wallets\"} 4".to_owned(),
                format!("nsl_projection_failed{{projection=\"wallets\"}} {failed}"),
                format!("nsl_projection_parked{{projection=\"wallets\"}} {parked}"),
            ] {
                assert!(text.contains(&line), "{line} missing in {text}");
            }
        }
        progress.at(9, 9);
        let status = progress.status();
        assert_eq!((status.seconds_behind, status.state, status.error), (0, ProjectionState::Running, None));
    }

    #[tokio::test]
    async fn a_build_is_not_ready_and_does_not_claim_its_position_for_what_answers() {
        let (progress, readiness, metrics) = progress();
        progress.building(50, 7, 100);
        let status = progress.status();
        assert_eq!(
            (status.position, status.building, status.state),
            (7, Some(50), ProjectionState::Building)
        );
        assert_eq!(readiness.check().await[0].result, Err("version 2 is being built: 50 of 100".to_owned()));
        assert!(!progress.reaches(8, Duration::ZERO).await);
        let text = String::from_utf8(metrics.encode().unwrap()).unwrap();
        assert!(text.contains("nsl_projection_build_position{projection=\"wallets\"} 50"), "{text}");
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

    #[test]
    fn a_rate_is_an_average_of_the_last_ticks() {
        let mut counts = VecDeque::new();
        let rates: Vec<_> =
            [0, 100, 200, 300, 400, 500, 500, 500, 500, 500, 500].map(|now| rate(&mut counts, now)).into();
        assert_eq!(rates, [0, 100, 100, 100, 100, 100, 80, 60, 40, 20, 0]);
    }
}
