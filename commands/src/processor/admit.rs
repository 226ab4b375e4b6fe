//! The steps between signature and decision. A command that fails one is answered at once, unless it was committed
//! before: then its receipt speaks (D5).

use std::collections::{HashMap, HashSet, VecDeque};

use nsl_schemas::command::Command;
use nsl_schemas::errors;
use uuid::Uuid;

use super::{Processor, REFUSALS_AT_ONCE, Taken, Unavailable, Waiting};
use crate::follower;
use crate::intake::Refused;
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
        // Commands of a partition that was lost meanwhile are its new owner's to answer, refusals too.
        chunk.retain(|waiting| waiting.taken.message.is_held());
        let (admission, directory) = (&self.parts.admission, &self.parts.directory);
        let judge = |waiting: &Waiting<D>| admission.judge(&waiting.taken.incoming, directory, now_ms);
        let mut judged: Vec<_> = chunk.iter().map(judge).collect();
        // A grant that another processor committed counts here too: nobody is turned away before the log was asked.
        if judged.iter().any(is_unauthorised) {
            follower::refresh(&self.parts.log, directory).await?;
            let again = chunk.iter().zip(&mut judged).filter(|(_, judged)| is_unauthorised(judged));
            again.for_each(|(waiting, judged)| *judged = judge(waiting));
        }
        let asked: Vec<Uuid> = chunk
            .iter()
            .zip(&judged)
            .filter(|(waiting, judged)| waiting.may_be_known || judged.is_err())
            .map(|(waiting, _)| waiting.taken.command_id())
            .collect();
        let receipts =
            if asked.is_empty() { HashMap::new() } else { self.parts.log.receipts(&asked).await? };
        let mut commands = Vec::with_capacity(chunk.len());
        let mut ids = HashSet::with_capacity(chunk.len());
        for (waiting, judged) in std::mem::take(chunk).into_iter().zip(judged) {
            match (receipts.get(&waiting.taken.command_id()), judged) {
                (Some(receipt), _) => self.repeat(waiting.taken, receipt).await,
                (None, Err(no)) => self.refusals.push_back((waiting.taken, no)),
                (None, Ok(command)) if ids.insert(waiting.taken.command_id()) => {
                    chunk.push(waiting);
                    commands.push(command);
                }
                // A batch decides an id once.
                (None, Ok(_)) => self.copies.push(waiting.taken),
            }
        }
        self.withdraw_refusals(&ids);
        Ok(commands)
    }

    /// Tells some of the refusals that wait.
    pub(super) async fn tell_refusals(&mut self) {
        for _ in 0..REFUSALS_AT_ONCE {
            let Some((taken, no)) = self.refusals.pop_front() else { return };
            self.refuse_unless_open(taken, &no).await;
        }
    }

    /// Commands that are decided are not refused: copies of them, refused and not told so yet, wait for their answers.
    fn withdraw_refusals(&mut self, decided: &HashSet<Uuid>) {
        let is_decided = |(taken, _): &(Taken<D>, Refused)| decided.contains(&taken.command_id());
        if !self.refusals.iter().any(is_decided) {
            return;
        }
        let (withdrawn, kept): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut self.refusals).into_iter().partition(is_decided);
        self.refusals = kept;
        self.copies.extend(withdrawn.into_iter().map(|(taken, _)| taken));
    }

    /// A no stays true only if no append of the command can land any more. Where one can, its partition is given up: under
    /// the next lease the log refuses what was sent under this one, and the command comes again and is judged anew.
    pub(super) async fn refuse_unless_open(&self, taken: Taken<D>, no: &Refused) {
        if self.open.get(&taken.command_id()) == Some(&taken.fence) {
            tracing::info!(
                command.id = %taken.command_id(),
                partition = taken.fence.partition,
                code = no.code.code,
                "partition is taken anew: an append of a command that is to be refused may still be on its way"
            );
            taken.message.give_up_partition();
        }
        if taken.message.is_held() {
            self.refuse(taken, no).await;
        }
    }
}

fn is_unauthorised(judged: &Result<Command, Refused>) -> bool {
    judged.as_ref().is_err_and(|no| no.code == errors::NOT_AUTHORISED)
}
