//! What becomes of a follower that does not get on: what may pass is tried again soon and ever more rarely, what will not
//! pass by itself is tried again slowly, and neither is ever skipped or stops another follower.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use nsl_schemas::errors::{self, ErrorCode};
use nsl_schemas::query::ProjectionState;
use uuid::Uuid;

use crate::progress::Progress;

/// How long a follower rests between tries.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// After the first failure that may pass: a restarted database or bus is found soon.
    pub first: Duration,
    /// After many: the log is not flooded.
    pub longest: Duration,
    /// After a failure that will not pass by itself: somebody may mend the cause without a restart.
    pub stopped: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(30),
            stopped: Duration::from_mins(1),
        }
    }
}

impl Pace {
    /// The rest after so many failures in a row.
    fn rest(self, fault: &Fault, failures: u32) -> Duration {
        if fault.state == ProjectionState::Waiting {
            let factor = 1 << failures.saturating_sub(1).min(16);
            self.first.saturating_mul(factor).min(self.longest)
        } else {
            self.stopped
        }
    }
}

/// Why a follower does not get on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Waiting, failed or parked.
    pub state: ProjectionState,
    /// The error with its causes.
    pub reason: String,
    /// The event at which it stands, where one is to blame.
    pub event: Option<(u64, Uuid)>,
}

impl Fault {
    /// A failure that may pass.
    pub(crate) fn waiting(error: &dyn std::error::Error) -> Self {
        Self { state: ProjectionState::Waiting, reason: described(error), event: None }
    }

    /// A failure that would come again.
    pub(crate) fn failed(error: &dyn std::error::Error) -> Self {
        Self { state: ProjectionState::Failed, ..Self::waiting(error) }
    }

    /// Its code, where it has stopped.
    pub(crate) fn code(&self) -> Option<ErrorCode> {
        match self.state {
            ProjectionState::Failed => Some(errors::PROJECTION_FAILED),
            ProjectionState::Parked => Some(errors::PROJECTION_PARKED),
            _ => None,
        }
    }

    /// Tells whoever reads the log.
    fn report(&self, projection: &str) {
        let Self { reason, event, .. } = self;
        let Some(code) = self.code() else {
            tracing::warn!(projection, reason, "projection waits");
            return;
        };
        let hint = if self.state == ProjectionState::Parked {
            "start a build that knows the event; until then the projection stays where it is"
        } else {
            "mend the cause; it is tried again every minute, after a restart and after a rebuild"
        };
        let (position, event_id) = (event.map(|(position, _)| position), event.map(|(_, id)| id.to_string()));
        tracing::error!(projection, position, event_id, code = code.code, reason, hint, "projection stopped");
    }
}

/// What a follower fails with.
pub(crate) trait Failure: Sized {
    /// What becomes of the follower.
    fn fault(&self) -> Fault;

    /// The failure that a panic of the follower is.
    fn panicked(message: String) -> Self;
}

/// A follower's tries.
#[derive(Debug, Default)]
pub(crate) struct Tries {
    /// How many in a row failed without getting on.
    failures: u32,
}

impl Tries {
    /// One try. A failure, a panic too, is told to whoever reads the log and returned with the rest before the next try.
    pub(crate) async fn make<E: Failure>(
        &mut self,
        name: &str,
        progress: &Progress,
        pace: Pace,
        work: impl Future<Output = Result<(), E>>,
    ) -> Result<(), (Fault, Duration)> {
        let before = progress.status().position;
        let error = match caught(work).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error,
            Err(message) => E::panicked(message),
        };
        self.failures = if progress.status().position > before { 1 } else { self.failures.saturating_add(1) };
        let fault = error.fault();
        fault.report(name);
        let rest = pace.rest(&fault, self.failures);
        Err((fault, rest))
    }
}

/// Runs something; a panic in it becomes its message and goes no further.
pub(crate) async fn caught<T>(run: impl Future<Output = T>) -> Result<T, String> {
    // What a panic leaves behind is dropped with the future: a transaction rolls back, a channel closes.
    AssertUnwindSafe(run).catch_unwind().await.map_err(|panic| message(&*panic))
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

/// An error with its causes in one line, for those who see no log.
pub(crate) fn described(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_tried_ever_more_rarely_and_what_will_not_slowly() {
        let pace = Pace::default();
        let error = std::io::Error::other("gone");
        let seconds = |fault: &Fault, failures| pace.rest(fault, failures).as_secs();
        let waiting = Fault::waiting(&error);
        let rests: Vec<_> = [1, 2, 3, 5, 6, 40, u32::MAX].map(|failures| seconds(&waiting, failures)).into();
        assert_eq!(rests, [1, 2, 4, 16, 30, 30, 30]);
        assert_eq!(seconds(&Fault::failed(&error), 1), 60);
    }

    #[tokio::test]
    async fn a_panic_is_its_message() {
        assert_eq!(caught(async { 7 }).await, Ok(7));
        assert_eq!(caught(async { panic!("row {}", 3) }).await, Err::<(), _>("row 3".to_owned()));
        assert_eq!(caught(async { panic!("plain") }).await, Err::<(), _>("plain".to_owned()));
    }
}
