//! `nsl_relay_*`: what is followed, what the node says, what becomes of it.

use nsl_telemetry::metrics::Error;
use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec};

const NO_LABELS: &[&str] = &[];

/// The service's metrics. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    watched: IntGaugeVec,
    tip: IntGaugeVec,
    submissions: IntCounterVec,
    node_failures: IntCounterVec,
    reports: IntCounterVec,
    report_failures: IntCounterVec,
    durations: HistogramVec,
    parked: IntCounterVec,
    questions: IntCounterVec,
}

impl Metrics {
    pub(crate) fn register(registry: &nsl_telemetry::Metrics) -> Result<Self, Error> {
        Ok(Self {
            watched: registry.gauge("relay_watched_jobs", "Transactions followed now.", NO_LABELS)?,
            tip: registry.gauge("relay_block_height", "The last block that was read.", NO_LABELS)?,
            submissions: registry.counter(
                "relay_submissions_total",
                "Submissions to the node by what it did with them.",
                &["outcome"],
            )?,
            node_failures: registry.counter(
                "relay_node_failures_total",
                "Questions of the followers that the node did not answer.",
                &["question"],
            )?,
            reports: registry.counter(
                "relay_reports_total",
                "Transactions whose end is recorded, by how they ended.",
                &["outcome"],
            )?,
            report_failures: registry.counter(
                "relay_report_failures_total",
                "Reports that were not taken, by code.",
                &["code"],
            )?,
            durations: registry.durations(
                "relay_job_duration_seconds",
                "From taking a job to its recorded end.",
                &["outcome"],
            )?,
            parked: registry.counter(
                "relay_parked_jobs_total",
                "Jobs that could not be read, parked for people.",
                NO_LABELS,
            )?,
            questions: registry.counter(
                "relay_questions_total",
                "Questions by their name and the code of the answer.",
                &["name", "code"],
            )?,
        })
    }

    pub(crate) fn watched(&self, count: usize) {
        self.watched.with_label_values(NO_LABELS).set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    pub(crate) fn tip(&self, index: u32) {
        self.tip.with_label_values(NO_LABELS).set(i64::from(index));
    }

    pub(crate) fn submitted(&self, outcome: &str) {
        self.submissions.with_label_values(&[outcome]).inc();
    }

    pub(crate) fn node_failed(&self, question: &str) {
        self.node_failures.with_label_values(&[question]).inc();
    }

    pub(crate) fn reported(&self, outcome: &str, duration: std::time::Duration) {
        self.reports.with_label_values(&[outcome]).inc();
        self.durations.with_label_values(&[outcome]).observe(duration.as_secs_f64());
    }

    pub(crate) fn report_failed(&self, code: &str) {
        self.report_failures.with_label_values(&[code]).inc();
    }

    pub(crate) fn parked(&self) {
        self.parked.with_label_values(NO_LABELS).inc();
    }

    pub(crate) fn answered(&self, name: &str, code: &str) {
        self.questions.with_label_values(&[name, code]).inc();
    }
}
