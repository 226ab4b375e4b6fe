//! This service's metrics.

use nsl_telemetry::Metrics;
use nsl_telemetry::metrics::Error;
use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec};

/// The metrics, registered once.
#[derive(Debug, Clone)]
pub struct CommandMetrics {
    /// Commands answered, by aggregate type and outcome (`accepted`, `rejected`, `repeated`, `refused`).
    pub commands: IntCounterVec,
    /// Seconds from taking a batch to its commit.
    pub commit_seconds: HistogramVec,
    /// Appends that were refused and decided again, by reason.
    pub conflicts: IntCounterVec,
    /// Commands refused because their aggregate's stream cannot be read, by why (`future`, `damaged`).
    pub unreadable: IntCounterVec,
    /// Partitions held.
    pub partitions: IntGaugeVec,
    /// Partitions that changed hands, by reason (`claimed`, `given_back`, `lost`).
    pub partition_moves: IntCounterVec,
    /// Messages that could not be read, parked for people.
    pub parked: IntCounterVec,
    /// Jobs published, by kind.
    pub jobs: IntCounterVec,
    /// Commands of passed deadlines, by answer (`accepted`, `rejected`, `repeated`; `failed` is tried again).
    pub deadlines: IntCounterVec,
    /// Events that the reactor has not seen yet.
    pub reactor_lag: IntGaugeVec,
    /// 1 where the reactor stopped at something that will not pass by itself, by why (`future`, `damaged`).
    pub reactor_stopped: IntGaugeVec,
}

impl CommandMetrics {
    /// Registers them.
    pub fn register(metrics: &Metrics) -> Result<Self, Error> {
        Ok(Self {
            commands: metrics.counter("commands_total", "Commands answered.", &["aggregate", "outcome"])?,
            commit_seconds: metrics.durations("commit_seconds", "From taking a batch to its commit.", &[])?,
            conflicts: metrics.counter("append_conflicts_total", "Appends decided again.", &["reason"])?,
            unreadable: metrics.counter(
                "commands_unreadable_total",
                "Commands refused because their aggregate cannot be read.",
                &["reason"],
            )?,
            partitions: metrics.gauge("partitions_held", "Partitions of the command stream held.", &[])?,
            partition_moves: metrics.counter(
                "partition_moves_total",
                "Partitions claimed, given back or lost.",
                &["reason"],
            )?,
            parked: metrics.counter("commands_parked_total", "Messages that could not be read.", &[])?,
            jobs: metrics.counter("jobs_published_total", "Jobs published, repeats too.", &["kind"])?,
            deadlines: metrics.counter("deadlines_total", "Commands of passed deadlines.", &["outcome"])?,
            reactor_lag: metrics.gauge("reactor_lag_events", "Events not yet turned into jobs.", &[])?,
            reactor_stopped: metrics.gauge(
                "reactor_stopped",
                "1 where the reactor stopped at an event.",
                &["reason"],
            )?,
        })
    }
}
