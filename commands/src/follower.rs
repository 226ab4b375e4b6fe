//! Keeps the directory up with the log: other processors' grants and workers arrive by following it.

use std::sync::Arc;
use std::time::Duration;

use nsl_event_store::{EventReader, Filter, Page, ReadError, Subscription};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::directory::{self, Directory};
use crate::ports::Log;

/// Events read at once.
const PAGE_EVENTS: u32 = 500;
/// Catch-ups for commands that would be refused, in the long run: a flood of them costs fifty a second.
const REFRESH_INTERVAL: Duration = Duration::from_millis(20);
/// And so many at once: more newcomers than begin their work within a moment.
const REFRESH_BURST: u32 = 50;

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
    Filter { aggregate_types: vec![aggregate_type.to_owned()], ..Filter::default() }
}

/// Applies everything that the log holds and the directory does not, and returns when the directory has reached the head
/// that the log had at the call.
pub(crate) async fn catch_up(log: &impl Log, directory: &Directory) -> Result<(), Error> {
    for aggregate_type in Directory::FOLLOWED {
        loop {
            let after = directory.followed_to(aggregate_type);
            let page = log.read(after, PAGE_EVENTS, &filter(aggregate_type)).await?;
            apply(directory, aggregate_type, &page)?;
            if page.position >= page.head {
                break;
            }
        }
    }
    Ok(())
}

/// Catches up, unless that is done all the time: unauthorised commands may come in floods. So a grant counts at every
/// processor from its commit on, and [`nsl_event_store::POLL_INTERVAL`] later at most while such a flood is under way.
pub(crate) async fn refresh(log: &impl Log, directory: &Directory) -> Result<(), Error> {
    if directory.begin_refresh(Instant::now().into_std(), REFRESH_INTERVAL, REFRESH_BURST) {
        catch_up(log, directory).await?;
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
    let after = directory.followed_to(aggregate_type);
    let mut subscription = Subscription::new(reader, after, filter(aggregate_type), PAGE_EVENTS);
    loop {
        let page = tokio::select! {
            page = subscription.next_page(&mut wake) => page,
            () = stop.cancelled() => return Ok(()),
        };
        match page {
            Ok(page) => apply(&directory, aggregate_type, &page)?,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot follow the log");
                tokio::time::sleep(nsl_event_store::POLL_INTERVAL).await;
            }
        }
    }
}

fn apply(directory: &Directory, aggregate_type: &str, page: &Page) -> Result<(), directory::Error> {
    page.events.iter().try_for_each(|event| directory.apply(event))?;
    directory.follow_to(aggregate_type, page.position);
    Ok(())
}
