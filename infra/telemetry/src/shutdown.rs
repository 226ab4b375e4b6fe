//! Graceful end of a process: one token that asks every task to stop, and a bounded wait until they have.

use std::error::Error as StdError;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Any error of a task, shown in the log when it ends the process.
pub type TaskError = Box<dyn StdError + Send + Sync>;

/// Asks tasks to stop and waits for them. Clones share the state.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    token: CancellationToken,
    tasks: TaskTracker,
    failure: Arc<Mutex<Option<String>>>,
}

/// How the wait for the tasks ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Every task finished what it had taken.
    Complete,
    /// The deadline passed with this many tasks unfinished.
    DeadlinePassed(usize),
}

impl Shutdown {
    /// Cancelled when the process is to stop: take no more work, finish what was taken.
    pub fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// Asks everything to stop; later calls change nothing.
    pub fn request(&self, reason: &str) {
        if !self.token.is_cancelled() {
            tracing::info!(reason, "shutting down");
            self.token.cancel();
        }
    }

    /// Runs a task that the drain waits for. A task that fails or panics stops the whole process, so that a
    /// supervisor restarts it whole: a process with a dead part would look alive and do nothing.
    pub fn spawn<F, E>(&self, name: &'static str, task: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<TaskError>,
    {
        let mut guard = PanicGuard { shutdown: self.clone(), name, finished: false };
        self.tasks.spawn(async move {
            let outcome = task.await.map_err(Into::into);
            guard.finished = true;
            if let Err(error) = outcome {
                tracing::error!(task = name, error = &*error as &dyn StdError, "task failed");
                guard.shutdown.fail(format!("task {name} failed: {error}"));
            }
        });
    }

    /// What made the process stop, where that was a failure.
    pub fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits, at most for `deadline`, until every spawned task has ended.
    pub async fn drain(&self, deadline: Duration) -> Drained {
        self.tasks.close();
        match tokio::time::timeout(deadline, self.tasks.wait()).await {
            Ok(()) => Drained::Complete,
            Err(_) => Drained::DeadlinePassed(self.tasks.len()),
        }
    }

    fn fail(&self, failure: String) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
        self.request("a task failed");
    }
}

/// Turns a task that was dropped in mid-air (a panic) into a failure of the process.
struct PanicGuard {
    shutdown: Shutdown,
    name: &'static str,
    finished: bool,
}

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if !self.finished && std::thread::panicking() {
            self.shutdown.fail(format!("task {} panicked", self.name));
        }
    }
}

/// The signals that end a service, listened to from the moment this value exists.
#[derive(Debug)]
pub struct StopSignals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl StopSignals {
    /// Takes over SIGTERM and SIGINT; call inside the runtime.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// The name of the next signal.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINE: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn the_drain_waits_for_work_that_was_taken() {
        let shutdown = Shutdown::default();
        let finished = Arc::new(Mutex::new(false));
        let (token, flag) = (shutdown.token().clone(), Arc::clone(&finished));
        shutdown.spawn("worker", async move {
            token.cancelled().await;
            tokio::task::yield_now().await;
            *flag.lock().unwrap() = true;
            Ok::<(), TaskError>(())
        });
        shutdown.request("test");
        assert_eq!(shutdown.drain(DEADLINE).await, Drained::Complete);
        assert!(*finished.lock().unwrap());
        assert_eq!(shutdown.failure(), None);
    }

    #[tokio::test]
    async fn a_task_that_does_not_stop_is_left_at_the_deadline() {
        let shutdown = Shutdown::default();
        shutdown.spawn("stuck", std::future::pending::<Result<(), TaskError>>());
        shutdown.request("test");
        assert_eq!(shutdown.drain(Duration::ZERO).await, Drained::DeadlinePassed(1));
    }

    #[tokio::test]
    async fn a_task_that_fails_stops_the_process_and_is_named() {
        let shutdown = Shutdown::default();
        shutdown.spawn("reader", async { Err::<(), TaskError>("connection lost".into()) });
        shutdown.token().cancelled().await;
        assert_eq!(shutdown.failure().unwrap(), "task reader failed: connection lost");
    }

    #[tokio::test]
    async fn a_task_that_panics_stops_the_process_and_is_named() {
        let shutdown = Shutdown::default();
        shutdown.spawn("reader", async {
            let empty: Vec<u8> = Vec::new();
            let missing = empty.iter().max().copied().unwrap();
            Err::<(), TaskError>(missing.to_string().into())
        });
        shutdown.token().cancelled().await;
        assert_eq!(shutdown.failure().unwrap(), "task reader panicked");
    }
}
