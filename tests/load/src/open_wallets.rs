//! Sets the stage: creates the wallets and waits until the pool has given each its key.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nsl_schemas::token;
use sqlx::PgPool;

use crate::closed_loop;
use crate::exchange::{self, Exchange};
use crate::workload::{WALLETS, Workload};

/// Creations in flight: enough for whole batches, few enough for the pool to follow.
const CLIENTS: usize = 64;
/// Longest time for all creations.
const TIME_LIMIT: Duration = Duration::from_mins(1);
/// Longest time for all keys after that: two local workers make some hundreds a second.
const KEYS_TIME_LIMIT: Duration = Duration::from_secs(90);
/// How often the log is asked.
const POLL: Duration = Duration::from_millis(100);

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot make commands")]
    Token(#[from] token::Error),
    #[error("creating wallets failed")]
    Create(#[from] closed_loop::Error<exchange::Error>),
    #[error("cannot ask the log")]
    Log(#[from] sqlx::Error),
    #[error("only {opened} of {WALLETS} wallets have a key after {} s", KEYS_TIME_LIMIT.as_secs())]
    KeysMissing { opened: i64 },
}

pub(crate) async fn run(
    workload: &Workload,
    exchange: Arc<Exchange>,
    database: &PgPool,
) -> Result<(), Error> {
    let send = move |ready| {
        let exchange = Arc::clone(&exchange);
        async move { exchange.send(ready).await }
    };
    let created = closed_loop::run(workload.creations()?, CLIENTS, TIME_LIMIT, send).await?;
    eprintln!(
        "{WALLETS} wallets asked for, {} creations a second; waiting for their keys",
        created.per_second
    );
    let started = Instant::now();
    loop {
        let opened: i64 = sqlx::query_scalar("SELECT count(*) FROM events WHERE event_type = 'key-created'")
            .fetch_one(database)
            .await?;
        if usize::try_from(opened).is_ok_and(|opened| opened >= WALLETS) {
            return Ok(());
        }
        if started.elapsed() > KEYS_TIME_LIMIT {
            return Err(Error::KeysMissing { opened });
        }
        tokio::time::sleep(POLL).await;
    }
}
