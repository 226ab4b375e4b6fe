//! Waits until the reactor has turned every event into a job, so that what follows has the machine to itself.

use std::time::{Duration, Instant};

use sqlx::PgPool;

/// Far above what a whole benchmark's events take.
const TIME_LIMIT: Duration = Duration::from_mins(1);
/// How often the reactor's checkpoint is read.
const POLL: Duration = Duration::from_millis(20);

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot read the reactor's checkpoint")]
    Database(#[from] sqlx::Error),
    #[error("the reactor is {behind} events behind after {} s", TIME_LIMIT.as_secs())]
    Behind { behind: i64 },
}

/// Returns how long it took.
pub(crate) async fn wait(database: &PgPool) -> Result<Duration, Error> {
    let started = Instant::now();
    loop {
        let behind: i64 = sqlx::query_scalar(
            "SELECT h.position - c.position FROM log_head AS h, reactor.checkpoint AS c WHERE h.log_id = 1",
        )
        .fetch_one(database)
        .await?;
        if behind <= 0 {
            return Ok(started.elapsed());
        }
        if started.elapsed() > TIME_LIMIT {
            return Err(Error::Behind { behind });
        }
        tokio::time::sleep(POLL).await;
    }
}
