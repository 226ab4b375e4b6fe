//! A lane takes one job after another: pulls it, keeps the bus informed while it lasts, and settles its message. As
//! many jobs of a kind are under way as there are lanes, and none waits in this process.

use std::time::Duration;

use async_nats::jetstream::{AckKind, Message};
use futures::StreamExt;
use nsl_bus::consumer::messages;
use nsl_bus::{Bus, Consumer, ConsumerDefinition, DriftPolicy};
use tokio_util::sync::CancellationToken;

use crate::failpoints;
use crate::job::{Desk, Error};
use crate::metrics::Metrics;
use crate::parking;

/// Pause after a failed pull: the bus reconnects within seconds, and asking sooner helps nobody.
const PULL_PAUSE: Duration = Duration::from_secs(1);
/// Signs of life within the time after which the bus gives a job away: one may be lost, and one late.
const SIGNS_OF_LIFE: u32 = 3;

/// What the lanes of a kind share.
#[derive(Debug, Clone)]
pub(crate) struct Lane {
    pub(crate) kind: &'static str,
    pub(crate) bus: Bus,
    pub(crate) consumer: Consumer,
    /// Of the consumer, which is made again when it was lost with its stream.
    pub(crate) definition: ConsumerDefinition,
    pub(crate) desk: Desk,
    pub(crate) metrics: Metrics,
    pub(crate) ack_wait: Duration,
    pub(crate) retry_delay: Duration,
}

impl Lane {
    /// Takes jobs until `stop`; a job that was taken is finished.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        while let Some(pulled) = stop.run_until_cancelled(self.pull()).await {
            match pulled {
                Ok(Some(message)) => self.settle(&message).await,
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(kind = self.kind, %error, "cannot pull jobs");
                    stop.run_until_cancelled(tokio::time::sleep(PULL_PAUSE)).await;
                    stop.run_until_cancelled(self.ensure_consumer()).await;
                }
            }
        }
    }

    /// The next job, asked for alone: what is asked for ahead would wait in this process.
    async fn pull(&self) -> Result<Option<Message>, async_nats::Error> {
        Ok(messages(&self.consumer, 1).await?.next().await.transpose()?)
    }

    async fn ensure_consumer(&mut self) {
        match self.bus.ensure_consumer(&self.definition, DriftPolicy::Update).await {
            Ok((consumer, _)) => self.consumer = consumer,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(kind = self.kind, error, "job consumer not ready");
            }
        }
    }

    async fn settle(&self, message: &Message) {
        failpoints::TAKEN.reach();
        let labels = [self.kind];
        self.metrics.jobs_in_flight.with_label_values(&labels).inc();
        let timer = self.metrics.job_seconds.with_label_values(&labels).start_timer();
        let outcome = self.alive(message, Box::pin(self.desk.work(&message.payload))).await;
        let (settlement, label) = match outcome {
            Ok(done) => (AckKind::Ack, done.label()),
            Err(error) => self.put_off(message, &error).await,
        };
        failpoints::REPORTED.reach();
        if let Err(error) = message.ack_with(settlement).await {
            // The bus delivers the job again, and its outcome is found recorded.
            tracing::warn!(kind = self.kind, %error, "job could not be settled");
        }
        failpoints::SETTLED.reach();
        timer.observe_duration();
        self.metrics.jobs.with_label_values(&[self.kind, label]).inc();
        self.metrics.jobs_in_flight.with_label_values(&labels).dec();
    }

    /// Runs `work`, telling the bus that the job is being done.
    async fn alive<T>(&self, message: &Message, mut work: impl Future<Output = T> + Unpin) -> T {
        let mut signs = tokio::time::interval(self.ack_wait / SIGNS_OF_LIFE);
        signs.tick().await;
        loop {
            tokio::select! {
                done = &mut work => return done,
                _ = signs.tick() => {
                    if let Err(error) = message.ack_with(AckKind::Progress).await {
                        tracing::warn!(kind = self.kind, %error, "bus not told of progress");
                    }
                }
            }
        }
    }

    /// A job that is not done rests and comes again, or is parked when that cannot help.
    async fn put_off(&self, message: &Message, error: &Error) -> (AckKind, &'static str) {
        let rest = (AckKind::Nak(Some(self.retry_delay)), "retried");
        let kind = self.kind;
        if error.may_pass() {
            tracing::warn!(
                kind,
                error = error as &dyn std::error::Error,
                "job not done, will be tried again"
            );
            return rest;
        }
        tracing::error!(kind, error = error as &dyn std::error::Error, "job can never be done and is parked");
        let causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
        let reason = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
        match parking::park(&self.bus, message, &reason).await {
            Ok(()) => (AckKind::Term, "parked"),
            Err(error) => {
                tracing::error!(kind, error = &error as &dyn std::error::Error, "job could not be parked");
                rest
            }
        }
    }
}
