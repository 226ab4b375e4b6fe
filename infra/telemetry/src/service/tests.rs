//! The frame under real signals. Signals reach the whole process, so one test walks all the ways to end.

use nix::sys::signal::{Signal, raise};

use super::*;

const FIVE_SECONDS: Duration = Duration::from_secs(5);

async fn run_until<Fut>(task: Fut, deadline: Duration, then: impl AsyncFnOnce(&Shutdown, &Readiness)) -> u8
where
    Fut: Future<Output = Result<(), TaskError>> + Send + 'static,
{
    let mut signals = StopSignals::listen().unwrap();
    let shutdown = Shutdown::default();
    let readiness = Readiness::default();
    let startup = readiness.gate("startup", "starting");
    startup.open();
    let token = shutdown.token().clone();
    shutdown.spawn("task", async move {
        token.cancelled().await;
        task.await
    });
    let (code, ()) = tokio::join!(
        wait_and_drain(&shutdown, &startup, &mut signals, deadline),
        then(&shutdown, &readiness)
    );
    code
}

#[tokio::test]
async fn every_way_to_end_has_its_exit_code() {
    let finished = run_until(std::future::ready(Ok(())), FIVE_SECONDS, async |_, _| {
        raise(Signal::SIGTERM).unwrap();
    });
    assert_eq!(finished.await, 0);

    let failed = run_until(std::future::ready(Err("lost".into())), FIVE_SECONDS, async |_, _| {
        raise(Signal::SIGINT).unwrap();
    });
    assert_eq!(failed.await, EXIT_FAILED);

    let stuck =
        run_until(std::future::pending(), Duration::ZERO, async |shutdown, _| shutdown.request("test"));
    assert_eq!(stuck.await, EXIT_DEADLINE);

    let impatient = run_until(std::future::pending(), FIVE_SECONDS * 60, async |shutdown, readiness| {
        raise(Signal::SIGTERM).unwrap();
        shutdown.token().cancelled().await;
        while readiness.check().await[0].result.is_ok() {
            tokio::task::yield_now().await;
        }
        assert_eq!(readiness.check().await[0].result, Err("shutting down".to_owned()));
        raise(Signal::SIGTERM).unwrap();
    });
    assert_eq!(impatient.await, EXIT_INTERRUPTED);
}
