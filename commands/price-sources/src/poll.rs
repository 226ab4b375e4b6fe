//! Asks one venue for one pair for ever and publishes what it says as observations.

use std::sync::Arc;
use std::time::Duration;

use nsl_bus::Bus;
use nsl_schemas::price::Observation;
use reqwest::Client;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::backoff::{Backoff, jittered};
use crate::budget::Budget;
use crate::config::Source;
use crate::metrics::Metrics;
use crate::venue::Answer;
use crate::{fetch, ticks, venue};

/// Longest wait between two attempts at a source that keeps failing: a venue that came back is seen within
/// minutes.
const FAILING_WAIT_MAX: Duration = Duration::from_mins(5);

/// Why an attempt gave no observation on the bus.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("request failed")]
    Fetch(#[from] fetch::Error),
    #[error("answer refused")]
    Answer(#[from] venue::Error),
    #[error("observation not stored")]
    Publish(#[from] ticks::PublishError),
}

impl Error {
    fn kind(&self) -> &'static str {
        match self {
            Self::Fetch(error) => error.kind(),
            Self::Answer(_) => "invalid",
            Self::Publish(_) => "not_stored",
        }
    }
}

/// The loop of one source.
#[derive(Debug)]
pub(crate) struct Poller {
    pub(crate) source: Source,
    pub(crate) interval: Duration,
    pub(crate) budget: Arc<Budget>,
    pub(crate) http: Client,
    pub(crate) bus: Bus,
    pub(crate) metrics: Metrics,
}

impl Poller {
    /// Runs until `stop`. A request under way is dropped then: an observation that was not published is no
    /// loss.
    pub(crate) async fn run(self, stop: CancellationToken) {
        stop.run_until_cancelled(self.poll_for_ever()).await;
    }

    async fn poll_for_ever(&self) {
        let mut backoff = Backoff::new(self.interval, FAILING_WAIT_MAX.max(self.interval));
        loop {
            self.budget.take().await;
            let wait = match self.poll().await {
                Ok(observation) => {
                    backoff.succeeded();
                    self.report(&observation);
                    self.interval
                }
                Err(error) => self.failed(&error, &mut backoff),
            };
            tokio::time::sleep(jittered(wait, fastrand::u32(..))).await;
        }
    }

    async fn poll(&self) -> Result<Observation, Error> {
        let Source { adapter, venue, pair, symbol, url } = &self.source;
        let start = Instant::now();
        let fetched = fetch::fetch(&self.http, url).await?;
        self.metrics.answered_in(venue, start.elapsed());
        let observation = (adapter.parse)(&Answer {
            venue,
            symbol,
            body: &fetched.body,
            received_at_ms: fetched.received_at_ms,
            served_at_ms: fetched.served_at_ms,
        })?;
        ticks::publish(&self.bus, pair, &observation).await?;
        Ok(observation)
    }

    fn report(&self, observation: &Observation) {
        let Source { venue, pair, .. } = &self.source;
        self.metrics.requested(venue, pair, "ok");
        self.metrics.observed(pair, observation);
        tracing::debug!(%venue, %pair, price_e8 = %observation.price_e8, "observed");
    }

    /// The venue's own wish for quiet holds for all its pairs, a failure only for this one.
    fn failed(&self, error: &Error, backoff: &mut Backoff) -> Duration {
        let Source { venue, pair, .. } = &self.source;
        self.metrics.requested(venue, pair, error.kind());
        if let Error::Fetch(refused) = error
            && let Some(pause) = refused.venue_pause()
        {
            self.budget.close_for(pause);
        }
        let wait = match error {
            // The venue is not to blame for the bus.
            Error::Publish(_) => self.interval,
            Error::Fetch(_) | Error::Answer(_) => backoff.failed(),
        };
        let cause = error as &dyn std::error::Error;
        tracing::warn!(%venue, %pair, error = cause, wait_ms = wait.as_millis(), "no observation");
        wait
    }
}
