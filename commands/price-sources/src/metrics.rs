//! `nsl_price_source_*`: what is asked, what comes back, what becomes of it.

use nsl_schemas::price::Observation;
use nsl_schemas::token::{Pair, Venue};
use nsl_telemetry::metrics::Error;
use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec};

/// The service's metrics. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    requests: IntCounterVec,
    durations: HistogramVec,
    observed: IntGaugeVec,
    ignored: IntCounterVec,
    rounds: IntCounterVec,
}

impl Metrics {
    pub(crate) fn register(registry: &nsl_telemetry::Metrics) -> Result<Self, Error> {
        let by_source = ["venue", "pair", "outcome"];
        let help = "Requests to venues by what came of them.";
        Ok(Self {
            requests: registry.counter("price_source_requests_total", help, &by_source)?,
            durations: registry.durations(
                "price_source_request_duration_seconds",
                "How long a venue takes to answer.",
                &["venue"],
            )?,
            observed: registry.gauge(
                "price_source_observed_at_ms",
                "Time of the last observation by the venue's own clock, Unix ms.",
                &["venue", "pair"],
            )?,
            ignored: registry.counter(
                "price_source_ticks_ignored_total",
                "Observations on the bus that could not be taken.",
                &["pair"],
            )?,
            rounds: registry.counter(
                "price_source_rounds_total",
                "Proposed rounds by what came of them.",
                &["pair", "outcome"],
            )?,
        })
    }

    pub(crate) fn requested(&self, venue: &Venue, pair: &Pair, outcome: &str) {
        self.requests.with_label_values(&[venue.as_str(), pair.as_str(), outcome]).inc();
    }

    pub(crate) fn answered_in(&self, venue: &Venue, duration: std::time::Duration) {
        self.durations.with_label_values(&[venue.as_str()]).observe(duration.as_secs_f64());
    }

    pub(crate) fn observed(&self, pair: &Pair, observation: &Observation) {
        let time_ms = i64::try_from(observation.observed_at_ms).unwrap_or(i64::MAX);
        self.observed.with_label_values(&[observation.venue.as_str(), pair.as_str()]).set(time_ms);
    }

    pub(crate) fn ignored(&self, pair: &Pair) {
        self.ignored.with_label_values(&[pair.as_str()]).inc();
    }

    pub(crate) fn proposed(&self, pair: &Pair, outcome: &str) {
        self.rounds.with_label_values(&[pair.as_str(), outcome]).inc();
    }
}
