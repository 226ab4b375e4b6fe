//! Commands of aggregates whose streams cannot be read: an event from the future, or a damaged one. Nothing is decided
//! on half a stream, nothing is recorded, and the commands of other aggregates go on.

use std::collections::HashMap;

use nsl_event_store::LoadError;
use nsl_schemas::command::Command;
use nsl_schemas::errors;

use super::{Processor, Taken, Unavailable, Waiting};
use crate::aggregates::StreamKey;
use crate::batch::stream_key;
use crate::ports::{Delivery, Log, Outbox};

/// The streams that cannot be read, with why.
pub(super) type Unreadable = HashMap<StreamKey, LoadError>;

impl<L: Log, O: Outbox, D: Delivery> Processor<L, O, D> {
    /// Takes the commands of unreadable aggregates out of a chunk. One that was committed before hears its receipt (D5);
    /// any other hears that this service cannot decide it now, and may be sent again with the same id.
    pub(super) async fn set_aside(
        &self,
        chunk: &mut Vec<Waiting<D>>,
        commands: &mut Vec<Command>,
        unreadable: &Unreadable,
    ) -> Result<(), Unavailable> {
        if unreadable.is_empty() {
            return Ok(());
        }
        let key = |waiting: &Waiting<D>, command: &Command| stream_key(&waiting.taken.incoming, command);
        let concerned =
            chunk.iter().zip(&*commands).filter(|(one, command)| unreadable.contains_key(&key(one, command)));
        let ids: Vec<_> = concerned.map(|(waiting, _)| waiting.taken.command_id()).collect();
        let receipts = self.parts.log.receipts(&ids).await?;
        for (waiting, command) in std::mem::take(chunk).into_iter().zip(std::mem::take(commands)) {
            match (unreadable.get(&key(&waiting, &command)), receipts.get(&waiting.taken.command_id())) {
                (None, _) => {
                    chunk.push(waiting);
                    commands.push(command);
                }
                (Some(_), Some(receipt)) => self.repeat(waiting.taken, receipt).await,
                (Some(error), None) => self.refuse_undecided(waiting.taken, error).await,
            }
        }
        Ok(())
    }

    async fn refuse_undecided(&self, taken: Taken<D>, error: &LoadError) {
        let (reason, code, message) = if error.is_from_the_future() {
            let message = "the aggregate has an event that is newer than this service";
            ("future", errors::EVENT_FROM_FUTURE, message)
        } else {
            ("damaged", errors::AGGREGATE_UNREADABLE, "an event of the aggregate cannot be read")
        };
        tracing::error!(
            command.id = %taken.command_id(),
            error = error as &dyn std::error::Error,
            "the command's aggregate cannot be read"
        );
        self.parts.metrics.unreadable.with_label_values(&[reason]).inc();
        let no = taken.incoming.refuse(code, message);
        self.refuse_unless_open(taken, &no).await;
    }
}
