//! Hosts cqrs-es on this store: its `PersistedEventRepository` for one command at a time, persisted by the store's group
//! commit with the command's receipt, envelope and fence. Without cqrs-es' snapshots: those of 0.5.0 hold events twice.

use cqrs_es::Aggregate;
use cqrs_es::persist::{
    PersistedEventRepository, PersistenceError, ReplayFeed, ReplayStream, SerializedEvent, SerializedSnapshot,
};
use serde_json::Value;
use uuid::Uuid;

use crate::aggregate::serialized;
use crate::append::AppendError;
use crate::command::{CommandAppend, Fence, NewEvent};
use crate::group_commit::GroupCommit;
use crate::reader::{EventReader, Filter, MAX_PAGE_EVENTS, ReadError};
use crate::record::RecordedEvent;

/// Events that a replay holds ready ahead of its consumer.
const REPLAY_QUEUE_EVENTS: usize = 200;

/// The command that a repository persists for: all of a [`CommandAppend`] that cqrs-es does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandContext {
    /// The command's id.
    pub command_id: Uuid,
    /// Who signed it.
    pub issuer: String,
    /// Tells a resend from another command under the same id.
    pub request_hash: [u8; 32],
    /// The subject it was published on.
    pub subject: String,
    /// Its signed envelope, canonical JSON.
    pub envelope: String,
    /// Its payload, JSON as published.
    pub payload: String,
    /// The answer that a resend gets, JSON.
    pub answer: String,
    /// The lease under which it is decided.
    pub fence: Fence,
}

/// Why cqrs-es' events could not be persisted.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    /// A snapshot was to be stored.
    #[error(
        "snapshots are refused: cqrs-es 0.5.0 applies events twice before it takes one; use new_event_store"
    )]
    Snapshot,
    /// There is nothing to persist, so there would be no receipt.
    #[error("command {command_id} decided no event")]
    NoEvents {
        /// The command.
        command_id: Uuid,
    },
    /// The events are not one stream's next ones.
    #[error("events of command {command_id} are not contiguous events of one stream")]
    NotContiguous {
        /// The command.
        command_id: Uuid,
    },
}

/// A cqrs-es repository for one command.
#[derive(Clone, Debug)]
pub struct CqrsRepository {
    group: GroupCommit,
    context: CommandContext,
}

impl GroupCommit {
    /// A cqrs-es repository that persists what the command decides, in one commit with what others decide meanwhile.
    pub fn repository(&self, context: CommandContext) -> CqrsRepository {
        CqrsRepository { group: self.clone(), context }
    }
}

/// The id of a command's event by its index: the same command decided again names its events the same.
pub fn event_id(command_id: Uuid, index: u32) -> Uuid {
    Uuid::new_v5(&command_id, &index.to_be_bytes())
}

impl PersistedEventRepository for CqrsRepository {
    async fn get_events<A: Aggregate>(
        &self,
        aggregate_id: &str,
    ) -> Result<Vec<SerializedEvent>, PersistenceError> {
        self.get_last_events::<A>(aggregate_id, 0).await
    }

    async fn get_last_events<A: Aggregate>(
        &self,
        aggregate_id: &str,
        last_sequence: usize,
    ) -> Result<Vec<SerializedEvent>, PersistenceError> {
        let events = self.group.reader().load_stream(A::TYPE, aggregate_id, last_sequence as u64).await;
        events.map_err(read_failed)?.into_iter().map(|event| Ok(serialized(event)?)).collect()
    }

    async fn get_snapshot<A: Aggregate>(
        &self,
        _aggregate_id: &str,
    ) -> Result<Option<SerializedSnapshot>, PersistenceError> {
        Ok(None)
    }

    async fn persist<A: Aggregate>(
        &self,
        events: &[SerializedEvent],
        snapshot_update: Option<(String, Value, usize)>,
    ) -> Result<(), PersistenceError> {
        if snapshot_update.is_some() {
            return Err(refused(RepositoryError::Snapshot));
        }
        let command = self.context.command(events)?;
        self.group.append(command).await.map(drop).map_err(append_failed)
    }

    async fn stream_events<A: Aggregate>(
        &self,
        aggregate_id: &str,
    ) -> Result<ReplayStream, PersistenceError> {
        let (feed, stream) = ReplayStream::new(REPLAY_QUEUE_EVENTS);
        let (reader, aggregate_id) = (self.group.reader().clone(), aggregate_id.to_owned());
        tokio::spawn(async move { feed_stream(reader, A::TYPE, &aggregate_id, feed).await });
        Ok(stream)
    }

    /// In position order, up to the head at the call.
    async fn stream_all_events<A: Aggregate>(&self) -> Result<ReplayStream, PersistenceError> {
        let (feed, stream) = ReplayStream::new(REPLAY_QUEUE_EVENTS);
        let reader = self.group.reader().clone();
        let head = reader.head().await.map_err(read_failed)?;
        tokio::spawn(async move { feed_log(reader, A::TYPE, head, feed).await });
        Ok(stream)
    }
}

impl CommandContext {
    /// The append of the events that cqrs-es decided to.
    fn command(&self, events: &[SerializedEvent]) -> Result<CommandAppend, PersistenceError> {
        let command_id = self.command_id;
        let Some(first) = events.first() else {
            return Err(refused(RepositoryError::NoEvents { command_id }));
        };
        let contiguous = events.iter().zip(first.sequence..).all(|(event, sequence)| {
            event.sequence == sequence
                && event.aggregate_id == first.aggregate_id
                && event.aggregate_type == first.aggregate_type
        });
        let Some(expected_version) = first.sequence.checked_sub(1).filter(|_| contiguous) else {
            return Err(refused(RepositoryError::NotContiguous { command_id }));
        };
        let new_events = events.iter().zip(0..).map(|(event, index)| new_event(command_id, index, event));
        Ok(CommandAppend {
            command_id,
            issuer: self.issuer.clone(),
            request_hash: self.request_hash,
            subject: self.subject.clone(),
            envelope: self.envelope.clone(),
            payload: self.payload.clone(),
            answer: self.answer.clone(),
            aggregate_type: first.aggregate_type.clone(),
            aggregate_id: first.aggregate_id.clone(),
            expected_version: expected_version as u64,
            events: new_events.collect::<Result<_, _>>()?,
            fence: self.fence,
        })
    }
}

fn new_event(command_id: Uuid, index: u32, event: &SerializedEvent) -> Result<NewEvent, PersistenceError> {
    Ok(NewEvent {
        event_id: event_id(command_id, index),
        event_type: event.event_type.clone(),
        event_version: event.event_version.clone(),
        payload: serde_jcs::to_string(&event.payload)?,
        metadata: serde_jcs::to_string(&event.metadata)?,
    })
}

async fn feed_stream(reader: EventReader, aggregate_type: &str, aggregate_id: &str, mut feed: ReplayFeed) {
    let mut after = 0;
    loop {
        let page = reader.stream_page(aggregate_type, aggregate_id, after).await;
        let last = page.as_ref().ok().and_then(|page| page.last()).map(|event| event.sequence);
        if !feed_page(&mut feed, page).await {
            return;
        }
        let Some(last) = last else { return };
        after = last;
    }
}

async fn feed_log(reader: EventReader, aggregate_type: &str, head: u64, mut feed: ReplayFeed) {
    let filter = Filter { aggregate_types: vec![aggregate_type.to_owned()], ..Filter::default() };
    let mut position = 0;
    while position < head {
        let page = reader.read(position, MAX_PAGE_EVENTS, &filter).await;
        position = page.as_ref().map_or(position, |page| page.position);
        let events =
            page.map(|page| page.events.into_iter().filter(|event| event.position <= head).collect());
        if !feed_page(&mut feed, events).await {
            return;
        }
    }
}

/// Hands a page over, or the error that ends the replay; an error is never just the end. Answers whether to go on:
/// not after an error, and not when the consumer has gone.
async fn feed_page(feed: &mut ReplayFeed, page: Result<Vec<RecordedEvent>, ReadError>) -> bool {
    let events = match page {
        Ok(events) => events,
        Err(error) => {
            let _consumer_gone = feed.push(Err(read_failed(error))).await;
            return false;
        }
    };
    for event in events {
        let event = serialized(event).map_err(PersistenceError::from);
        let failed = event.is_err();
        if feed.push(event).await.is_err() || failed {
            return false;
        }
    }
    true
}

fn refused(error: RepositoryError) -> PersistenceError {
    PersistenceError::UnknownError(Box::new(error))
}

fn read_failed(error: ReadError) -> PersistenceError {
    if error.may_pass() {
        PersistenceError::ConnectionError(Box::new(error))
    } else {
        PersistenceError::UnknownError(Box::new(error))
    }
}

/// Only a stale stream alone is an optimistic lock error: then, and only then, does deciding again help.
fn append_failed(error: AppendError) -> PersistenceError {
    match &error {
        AppendError::Refused(refusal) if refusal.is_stale_only() => PersistenceError::OptimisticLockError,
        AppendError::Unavailable { .. } => PersistenceError::ConnectionError(Box::new(error)),
        _ => PersistenceError::UnknownError(Box::new(error)),
    }
}
