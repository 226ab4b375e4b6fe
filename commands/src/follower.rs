//! Keeps the directory up with the log: other processors' grants and workers arrive by following it.

use std::sync::Arc;

use nsl_event_store::{EventReader, Filter, ReadError, Subscription};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::directory::{self, Directory};
use crate::ports::Log;

/// Events read at once.
const PAGE_EVENTS: u32 = 500;

/// Why the directory could not follow the log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The log.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// An event.
    #[error(transparent)]
    Directory(#[from] directory::Error),
}

impl From<Error> for crate::processor::Unavailable {
    fn from(error: Error) -> Self {
        match error {
            Error::Read(error) => Self::Read(error),
            Error::Directory(error) => Self::Directory(error),
        }
    }
}

fn filter(aggregate_type: &str) -> Filter {
    Filter { aggregate_type: Some(aggregate_type.to_owned()), ..Filter::default() }
}

/// Applies everything that the log holds after a position.
pub(crate) async fn catch_up(
    log: &impl Log,
    directory: &Directory,
    after_position: u64,
) -> Result<(), Error> {
    for aggregate_type in Directory::FOLLOWED {
        let mut position = after_position;
        loop {
            let page = log.read(position, PAGE_EVENTS, &filter(aggregate_type)).await?;
            for event in &page.events {
                directory.apply(event)?;
            }
            position = page.position;
            if position >= page.head {
                break;
            }
        }
    }
    Ok(())
}

/// Follows one aggregate type until `stop`, by polling: what this processor commits it learns at once, and looking after
/// every commit would cost more queries than the commits. A log that is away for a while is waited for.
pub(crate) async fn follow(
    reader: EventReader,
    directory: Arc<Directory>,
    aggregate_type: &'static str,
    stop: CancellationToken,
) -> Result<(), directory::Error> {
    let (_nobody, mut wake) = watch::channel(0);
    let mut subscription = Subscription::new(reader, 0, filter(aggregate_type), PAGE_EVENTS);
    loop {
        let page = tokio::select! {
            page = subscription.next_page(&mut wake) => page,
            () = stop.cancelled() => return Ok(()),
        };
        match page {
            Ok(page) => page.events.iter().try_for_each(|event| directory.apply(event))?,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot follow the log");
                tokio::time::sleep(nsl_event_store::POLL_INTERVAL).await;
            }
        }
    }
}
