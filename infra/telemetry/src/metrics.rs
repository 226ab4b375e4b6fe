//! The metrics registry of a process. Names get the prefix `nsl_`, counters end in `_total`, durations in `_seconds`.

use std::sync::Arc;

use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder,
};

/// Every metric of ours begins with it.
const PREFIX: &str = "nsl";

/// Bounds of duration histograms: from a group commit on a quiet machine (under a millisecond) to a Neo block
/// (15 s) and its confirmation (a minute), about three bounds a decade.
const DURATION_BUCKETS_SECONDS: [f64; 17] = [
    0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0,
    60.0,
];

/// A metric that was refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name breaks the naming rule of its kind.
    #[error("metric {name:?} must end in {ending:?}")]
    Name {
        /// The name as given.
        name: String,
        /// The ending that its kind needs.
        ending: &'static str,
    },
    /// The registry refused it: registered twice, or a label that is not a name.
    #[error("metric {name:?} cannot be registered")]
    Register {
        /// The name as given.
        name: String,
        /// What the registry said.
        #[source]
        source: prometheus::Error,
    },
    /// The metrics cannot be written as text.
    #[error("metrics cannot be encoded")]
    Encode(#[source] prometheus::Error),
}

/// Registers metrics and writes them in the Prometheus text format. Clones share one registry.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
}

impl Metrics {
    /// An empty registry.
    pub fn new() -> Result<Self, Error> {
        let registry = Registry::new_custom(Some(PREFIX.to_owned()), None)
            .map_err(|source| Error::Register { name: PREFIX.to_owned(), source })?;
        Ok(Self { registry: Arc::new(registry) })
    }

    /// A counter of things that happened; `name` ends in `_total`.
    pub fn counter(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, Error> {
        must_end(name, "_total")?;
        self.register(name, IntCounterVec::new(Opts::new(name, help), labels))
    }

    /// A value that goes up and down, in the unit that `name` ends with (`_events`, `_bytes`, `_info`).
    pub fn gauge(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, Error> {
        self.register(name, IntGaugeVec::new(Opts::new(name, help), labels))
    }

    /// A histogram of durations in our buckets; `name` ends in `_seconds`.
    pub fn durations(&self, name: &str, help: &str, labels: &[&str]) -> Result<HistogramVec, Error> {
        must_end(name, "_seconds")?;
        let options = HistogramOpts::new(name, help).buckets(DURATION_BUCKETS_SECONDS.to_vec());
        self.register(name, HistogramVec::new(options, labels))
    }

    /// Everything in the Prometheus text format.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text).map_err(Error::Encode)?;
        Ok(text)
    }

    /// The content type of [`Metrics::encode`].
    pub fn content_type() -> &'static str {
        prometheus::TEXT_FORMAT
    }

    fn register<M>(&self, name: &str, metric: prometheus::Result<M>) -> Result<M, Error>
    where
        M: prometheus::core::Collector + Clone + 'static,
    {
        let refused = |source| Error::Register { name: name.to_owned(), source };
        let metric = metric.map_err(refused)?;
        self.registry.register(Box::new(metric.clone())).map_err(refused)?;
        Ok(metric)
    }
}

fn must_end(name: &str, ending: &'static str) -> Result<(), Error> {
    if name.ends_with(ending) { Ok(()) } else { Err(Error::Name { name: name.to_owned(), ending }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_appear_with_the_prefix_and_our_buckets() {
        let metrics = Metrics::new().unwrap();
        metrics
            .counter("commands_total", "Commands.", &["outcome"])
            .unwrap()
            .with_label_values(&["ok"])
            .inc();
        metrics
            .durations("append_duration_seconds", "Appends.", &[])
            .unwrap()
            .with_label_values(&[] as &[&str])
            .observe(0.002);
        metrics.gauge("lag_events", "Lag.", &[]).unwrap().with_label_values(&[] as &[&str]).set(7);

        let text = String::from_utf8(metrics.encode().unwrap()).unwrap();
        for line in [
            "nsl_commands_total{outcome=\"ok\"} 1",
            "nsl_append_duration_seconds_bucket{le=\"0.001\"} 0",
            "nsl_append_duration_seconds_bucket{le=\"0.0025\"} 1",
            "nsl_lag_events 7",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} missing in\n{text}");
        }
    }

    #[test]
    fn names_outside_the_rules_and_repeats_are_refused() {
        let metrics = Metrics::new().unwrap();
        assert!(matches!(metrics.counter("commands", "", &[]), Err(Error::Name { ending: "_total", .. })));
        assert!(matches!(
            metrics.durations("append_ms", "", &[]),
            Err(Error::Name { ending: "_seconds", .. })
        ));
        metrics.counter("commands_total", "Commands.", &[]).unwrap();
        assert!(matches!(metrics.counter("commands_total", "Commands.", &[]), Err(Error::Register { .. })));
        assert!(matches!(metrics.gauge("lag events", "Lag.", &[]), Err(Error::Register { .. })));
    }
}
