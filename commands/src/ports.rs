//! What the processor stands on. The service gives it the real log, bus and clock; the simulation gives it its own, so
//! that it is this very code that is tried under every fault.

use std::collections::HashMap;

use nsl_event_store::{
    AppendError, Appended, CommandAppend, EventStore, Filter, LoadError, Page, ReadError, Receipt,
};
use nsl_schemas::result::CommandResult;
use nsl_schemas::token::Tenant;
use uuid::Uuid;

use crate::aggregates::{StreamKey, Versioned};
use crate::intake::Refused;

/// The event log.
pub trait Log: Clone + Send + Sync + 'static {
    /// Appends a batch: all of it in one durable commit, or nothing.
    fn append(&self, batch: &[CommandAppend]) -> impl Future<Output = Result<Appended, AppendError>> + Send;

    /// The receipts of those of the commands that are committed.
    fn receipts(
        &self,
        command_ids: &[Uuid],
    ) -> impl Future<Output = Result<HashMap<Uuid, Receipt>, ReadError>> + Send;

    /// An aggregate's committed state.
    fn load(&self, key: &StreamKey) -> impl Future<Output = Result<Versioned, LoadError>> + Send;

    /// May keep an aggregate's committed state, which was at version `before` when it was last in memory, so that a later
    /// load is quicker.
    fn keep(&self, _key: &StreamKey, _state: &Versioned, _before: u64) {}

    /// The next page of the log after a position.
    fn read(
        &self,
        after_position: u64,
        limit: u32,
        filter: &Filter,
    ) -> impl Future<Output = Result<Page, ReadError>> + Send;
}

/// Where answers go. A lost answer costs a client one resend, so nothing here fails.
pub trait Outbox: Send + Sync + 'static {
    /// Tells the recorded result.
    fn result(&self, tenant: &Tenant, result: &CommandResult) -> impl Future<Output = ()> + Send;

    /// Tells a refusal; `sequence` is the message's in the command stream.
    fn refusal(&self, tenant: &Tenant, refused: &Refused, sequence: u64) -> impl Future<Output = ()> + Send;

    /// Tells readers of the log that it goes on.
    fn head(&self, head: u64) -> impl Future<Output = ()> + Send;

    /// Returns when everything said has arrived; where it arrives at once, so does this.
    #[cfg(feature = "failpoints")]
    fn flush(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

/// A message that waits for its acknowledgement.
pub trait Delivery: Send + Sync + 'static {
    /// Whether the bus delivered it before, so that it may be in the log already.
    fn is_repeat(&self) -> bool;

    /// Whether its partition is certainly still held. Where it is not, another processor answers it.
    fn is_held(&self) -> bool;

    /// Ends the stay of its partition with this processor, which takes it anew or leaves it to another.
    fn give_up_partition(&self);

    /// Takes it off the bus. When that fails it comes again, and is answered from its receipt.
    fn acknowledge(&self) -> impl Future<Output = Result<(), async_nats::Error>> + Send;
}

/// Unix milliseconds.
pub type Clock = fn() -> u64;

impl Log for EventStore {
    async fn append(&self, batch: &[CommandAppend]) -> Result<Appended, AppendError> {
        Self::append(self, batch).await
    }

    async fn receipts(&self, command_ids: &[Uuid]) -> Result<HashMap<Uuid, Receipt>, ReadError> {
        self.reader().receipts(command_ids).await
    }

    async fn load(&self, key: &StreamKey) -> Result<Versioned, LoadError> {
        Versioned::load(self, key).await
    }

    fn keep(&self, key: &StreamKey, state: &Versioned, before: u64) {
        state.keep(self, key, before);
    }

    async fn read(&self, after_position: u64, limit: u32, filter: &Filter) -> Result<Page, ReadError> {
        self.reader().read(after_position, limit, filter).await
    }
}
