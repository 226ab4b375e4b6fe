//! What the service counts.

use nsl_telemetry::metrics::{Error, Metrics as Registry};
use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec};

/// The service's metrics.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    /// By kind and what became of them.
    pub(crate) jobs: IntCounterVec,
    /// By kind.
    pub(crate) jobs_in_flight: IntGaugeVec,
    /// From taking a job to settling it, by kind.
    pub(crate) job_seconds: HistogramVec,
    /// By endpoint: 1 while it takes jobs.
    pub(crate) worker_up: IntGaugeVec,
}

impl Metrics {
    /// Registers them.
    pub(crate) fn register(registry: &Registry) -> Result<Self, Error> {
        Ok(Self {
            jobs: registry.counter(
                "enclave_jobs_total",
                "Jobs settled, by kind and what became of them.",
                &["kind", "result"],
            )?,
            jobs_in_flight: registry.gauge(
                "enclave_jobs_in_flight",
                "Jobs taken and not yet settled.",
                &["kind"],
            )?,
            job_seconds: registry.durations(
                "enclave_job_seconds",
                "From taking a job to settling it.",
                &["kind"],
            )?,
            worker_up: registry.gauge(
                "enclave_worker_up",
                "Whether the worker is connected and admitted.",
                &["endpoint"],
            )?,
        })
    }
}
