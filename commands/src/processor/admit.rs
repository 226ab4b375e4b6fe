//! The steps between signature and decision. A command that fails one is answered at once, unless it was committed
//! before: then its receipt speaks (D5).

use std::collections::HashMap;

use nsl_schemas::command::Command;
use uuid::Uuid;

use super::{Processor, Taken, Unavailable, Waiting};
use crate::ports::{Delivery, Log, Outbox};

/// A command that may be decided.
pub(super) struct Admitted<D> {
    pub(super) taken: Taken<D>,
    pub(super) command: Command,
}

impl<L: Log, O: Outbox, D: Delivery> Processor<L, O, D> {
    /// Answers those that may not be decided, or were; gives the typed commands of those that stay in `chunk`.
    pub(super) async fn admit(
        &mut self,
        chunk: &mut Vec<Waiting<D>>,
        now_ms: u64,
    ) -> Result<Vec<Command>, Unavailable> {
        let judge = |waiting: &Waiting<D>| {
            self.parts.admission.judge(&waiting.taken.incoming, &self.parts.directory, now_ms)
        };
        let judged: Vec<_> = chunk.iter().map(judge).collect();
        let asked: Vec<Uuid> = chunk
            .iter()
            .zip(&judged)
            .filter(|(waiting, judged)| waiting.may_be_known || judged.is_err())
            .map(|(waiting, _)| waiting.taken.command_id())
            .collect();
        let receipts =
            if asked.is_empty() { HashMap::new() } else { self.parts.log.receipts(&asked).await? };
        let mut commands = Vec::with_capacity(chunk.len());
        for (waiting, judged) in std::mem::take(chunk).into_iter().zip(judged) {
            match (receipts.get(&waiting.taken.command_id()), judged) {
                (Some(receipt), _) => self.repeat(waiting.taken, receipt).await,
                (None, Err(no)) => self.refuse(waiting.taken, &no).await,
                (None, Ok(command)) => {
                    chunk.push(waiting);
                    commands.push(command);
                }
            }
        }
        Ok(commands)
    }
}
