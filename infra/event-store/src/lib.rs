//! The event store: Postgres is the only truth. Commands are appended in batches, each batch one transaction under the
//! head lock, so positions are 1, 2, 3, … without a gap and a reader needs nothing but `position <= head`.
//! This crate knows no service: JSON text goes in and comes out byte for byte.

mod aggregate;
mod append;
mod batch;
mod command;
mod group_commit;
mod hash;
mod json;
mod lease;
mod limits;
mod partitions;
mod reader;
mod record;
mod repository;
mod session;
mod settle;
mod snapshot;
mod store;
mod subscription;

pub use aggregate::LoadError;
pub use append::{AppendError, Appended, Refusal, StaleStream};
pub use command::{CommandAppend, Fence, NewEvent};
pub use group_commit::{GroupCommit, MAX_QUEUED_BYTES, MAX_QUEUED_COMMANDS};
pub use hash::{HashedEvent, command_hash, content_hash};
pub use lease::{Lease, LeaseError, MAX_LEASE_TTL, MAX_OWNER_BYTES, PARTITIONS};
pub use limits::{
    InvalidBatch, MAX_ANSWER_BYTES, MAX_BATCH_BYTES, MAX_COMMANDS_PER_BATCH, MAX_ENVELOPE_BYTES,
    MAX_EVENTS_PER_COMMAND, MAX_METADATA_BYTES, MAX_NAME_BYTES, MAX_PAYLOAD_BYTES, MAX_SUBJECT_BYTES,
};
pub use partitions::PARTITION_POSITIONS;
pub use reader::{
    EventReader, Filter, MAX_PAGE_BYTES, MAX_PAGE_EVENTS, MAX_POSITIONS, MAX_RECEIPT_IDS, Page, ReadError,
    SCAN_POSITIONS,
};
pub use record::{Envelope, Receipt, RecordedEvent};
pub use repository::{CommandContext, CqrsRepository, RepositoryError, event_id};
pub use session::ConnectError;
pub use snapshot::{MAX_SNAPSHOT_BYTES, SNAPSHOT_EVERY};
pub use store::{EventStore, MigrateError, Options};
pub use subscription::{POLL_INTERVAL, Subscription};
