//! What the service counts.

use nsl_telemetry::metrics::{Error, Metrics as Registry};
use prometheus::{HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

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
    /// By endpoint: 1 while it is left alone because its calls kept failing.
    pub(crate) worker_left_alone: IntGaugeVec,
    /// By endpoint.
    pub(crate) worker_calls_in_flight: IntGaugeVec,
    /// By endpoint.
    pub(crate) worker_calls: IntCounterVec,
    /// Workers of the pool, by what is counted: `wanted` or `serving`.
    pub(crate) pool_size: IntGaugeVec,
    /// Workers started.
    pub(crate) worker_starts: IntCounter,
    /// Started workers that were lost, by reason.
    pub(crate) worker_failures: IntCounterVec,
    /// Before the next start, after workers were lost; 0 when all that are wanted serve.
    pub(crate) restart_pause: IntGauge,
    /// 1 while the last replacement of the workers is halted.
    pub(crate) rollout_halted: IntGauge,
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
            worker_left_alone: registry.gauge(
                "enclave_worker_left_alone",
                "Whether the worker gets no jobs because its calls kept failing.",
                &["endpoint"],
            )?,
            worker_calls_in_flight: registry.gauge(
                "enclave_worker_calls_in_flight",
                "Calls that the worker has not answered yet.",
                &["endpoint"],
            )?,
            worker_calls: registry.counter(
                "enclave_worker_calls_total",
                "Calls that the worker answered.",
                &["endpoint"],
            )?,
            pool_size: registry.gauge(
                "enclave_pool_workers",
                "Workers that this host starts: how many are wanted, and how many serve.",
                &["count"],
            )?,
            worker_starts: registry
                .counter("enclave_worker_starts_total", "Workers started.", &[])?
                .with_label_values::<&str>(&[]),
            worker_failures: registry.counter(
                "enclave_worker_failures_total",
                "Started workers that were lost, by reason.",
                &["reason"],
            )?,
            restart_pause: registry
                .gauge(
                    "enclave_pool_restart_pause_ms",
                    "Pause before the next start of a worker, after workers were lost.",
                    &[],
                )?
                .with_label_values::<&str>(&[]),
            rollout_halted: registry
                .gauge(
                    "enclave_rollout_halted",
                    "Whether the last replacement of the workers failed and was taken back.",
                    &[],
                )?
                .with_label_values::<&str>(&[]),
        })
    }

    /// Forgets a worker that is gone, but not what it did.
    pub(crate) fn forget_worker(&self, endpoint: &str) {
        for gauge in [&self.worker_up, &self.worker_left_alone, &self.worker_calls_in_flight] {
            // It may have gone before it was told of.
            let _ = gauge.remove_label_values(&[endpoint]);
        }
    }
}
