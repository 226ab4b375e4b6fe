//! Whether the reactor gets on, as others see it: readiness, metrics, and when it tries again. What will not pass by itself
//! stops it, loudly; nothing is ever skipped.

use std::time::Duration;

use nsl_event_store::{LoadError, ReadError};
use nsl_schemas::event::DecodeError;
use nsl_telemetry::readiness::Gate;

use super::Error;
use super::prepare;
use crate::metrics::CommandMetrics;

/// Pause after what may pass; the log or the bus is away.
const RETRY: Duration = Duration::from_millis(500);
/// Pause after what will not pass by itself: somebody may mend the cause, or a newer build take over, without a restart.
const STOPPED_RETRY: Duration = Duration::from_mins(1);
/// The metric's labels.
const STOPS: [&str; 2] = [FUTURE, DAMAGED];
const FUTURE: &str = "future";
const DAMAGED: &str = "damaged";

/// What the process shows of its reactor.
pub(crate) struct Health {
    gate: Gate,
    metrics: CommandMetrics,
}

impl Health {
    /// Not ready until it works or stands by.
    pub(crate) fn new(gate: Gate, metrics: CommandMetrics) -> Self {
        let health = Self { gate, metrics };
        health.show(None);
        health
    }

    /// It gets on, or another process' reactor does.
    pub(super) fn well(&self) {
        self.gate.open();
        self.show(None);
    }

    /// It failed. Answers how long to rest before the next try.
    pub(super) fn failed(&self, error: &Error) -> Duration {
        let stop = error.stop();
        self.gate.close(described(error));
        self.show(stop);
        let error = error as &dyn std::error::Error;
        match stop {
            None => {
                tracing::warn!(error, "reactor begins again from its checkpoint");
                return RETRY;
            }
            Some(FUTURE) => tracing::error!(
                error,
                hint = "start a build that knows the event; until then no job leaves and no deadline is kept",
                "reactor stopped"
            ),
            Some(_) => tracing::error!(
                error,
                hint = "mend the cause; until then no job leaves and no deadline is kept",
                "reactor stopped"
            ),
        }
        STOPPED_RETRY
    }

    fn show(&self, stop: Option<&'static str>) {
        for label in STOPS {
            self.metrics.reactor_stopped.with_label_values(&[label]).set(i64::from(stop == Some(label)));
        }
    }
}

impl Error {
    /// Why it will not pass by itself; `None` where it may.
    fn stop(&self) -> Option<&'static str> {
        match self {
            Self::Memory(_) => None,
            Self::Read(error) => of_read(error),
            Self::Event { source, .. } => Some(of_event(source)),
            Self::Prepare(error) => of_prepare(error),
            Self::Deadline(_) | Self::Missing { .. } => Some(DAMAGED),
        }
    }
}

fn of_read(error: &ReadError) -> Option<&'static str> {
    (!error.may_pass()).then_some(DAMAGED)
}

fn of_event(error: &DecodeError) -> &'static str {
    if error.is_from_the_future() { FUTURE } else { DAMAGED }
}

fn of_prepare(error: &prepare::Error) -> Option<&'static str> {
    match error {
        prepare::Error::Read(error) => of_read(error),
        prepare::Error::Load(LoadError::Read { source, .. }) => of_read(source),
        prepare::Error::Load(LoadError::Event { source, .. }) | prepare::Error::Event { source, .. } => {
            Some(of_event(source))
        }
        prepare::Error::Load(LoadError::Gap { .. })
        | prepare::Error::Record { .. }
        | prepare::Error::Subject { .. }
        | prepare::Error::Missing { .. } => Some(DAMAGED),
    }
}

/// An error with its causes in one line, for those who see no log.
fn described(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
