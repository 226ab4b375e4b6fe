//! Group commit for many callers: each hands in one command and hears its own outcome, while one task shares commits
//! among them. It waits for nobody: what arrives while a commit is under way is the next batch, so a lone caller pays
//! one commit and a crowd shares it.

mod batches;
mod committer;

use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::append::{AppendError, Appended, unavailable};
use crate::batch::Checked;
use crate::command::CommandAppend;
use crate::reader::EventReader;
use crate::store::EventStore;
use batches::Waiting;
use committer::Committer;

/// Commands that wait to be taken up; the next caller waits for room.
pub const MAX_QUEUED_COMMANDS: usize = 4_096;
/// Text of all commands that wait or are under way, rounded up to [`ROOM_UNIT_BYTES`] each: two full batches.
pub const MAX_QUEUED_BYTES: usize = 2 * crate::limits::MAX_BATCH_BYTES;
/// Room is counted in these: a semaphore counts in 32 bits.
const ROOM_UNIT_BYTES: usize = 1_024;

/// A handle on the shared commits of a store; cheap to clone. The task ends when the last handle is gone and everything
/// handed in is answered.
#[derive(Clone, Debug)]
pub struct GroupCommit {
    reader: EventReader,
    queue: mpsc::Sender<Waiting>,
    room: Arc<Semaphore>,
}

impl GroupCommit {
    /// Starts to commit to the store.
    pub fn start(store: EventStore) -> Self {
        let (queue, waiting) = mpsc::channel(MAX_QUEUED_COMMANDS);
        let reader = store.reader().clone();
        tokio::spawn(Committer::new(store, waiting).run());
        Self { reader, queue, room: Arc::new(Semaphore::new(MAX_QUEUED_BYTES / ROOM_UNIT_BYTES)) }
    }

    /// The reading half of the store.
    pub fn reader(&self) -> &EventReader {
        &self.reader
    }

    /// Appends one command, durably, with others that are handed in meanwhile; their faults are not this command's. Of
    /// two commands that expect the same version of a stream the earlier is recorded and the later hears that it is
    /// stale. Waits while too much is queued. Dropping the future leaves the outcome open; append again with the same
    /// id.
    pub async fn append(&self, command: CommandAppend) -> Result<Appended, AppendError> {
        let checked = Checked::new(command)?;
        // A command's greatest size is below a batch's, so it always fits.
        let units = u32::try_from(checked.bytes.div_ceil(ROOM_UNIT_BYTES)).unwrap_or(u32::MAX);
        let ended = || unavailable(sqlx::Error::WorkerCrashed);
        let room = Arc::clone(&self.room).acquire_many_owned(units).await.map_err(|_| ended())?;
        let (answer, answered) = oneshot::channel();
        self.queue.send(Waiting::new(checked, answer, room)).await.map_err(|_| ended())?;
        let unknown = |_| AppendError::UnknownOutcome { source: Arc::new(sqlx::Error::WorkerCrashed) };
        answered.await.map_err(unknown)?
    }
}
