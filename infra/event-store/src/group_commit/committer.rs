//! The task behind [`super::GroupCommit`]: takes what waits, commits it, answers.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::{Id, JoinError, JoinSet};

use super::batches::{Batches, Caller, StreamKey, Waiting, stale_stream, stream_key};
use crate::append::{AppendError, Appended, Refusal};
use crate::batch::Checked;
use crate::command::CommandAppend;
use crate::limits::MAX_COMMANDS_PER_BATCH;
use crate::store::EventStore;

/// Batches under way at once: one commits, the other is on its way to the head lock, so that the database need not wait
/// for us. A third would only wait behind both.
const BATCHES_UNDER_WAY: usize = 2;
/// What a batch's task hands back.
type Landed = (Vec<Checked<CommandAppend>>, Result<Appended, AppendError>);

/// Who waits for a batch under way, and for which streams.
#[derive(Debug)]
struct UnderWay {
    callers: Vec<Caller>,
    streams: Vec<StreamKey>,
}

#[derive(Debug)]
pub(super) struct Committer {
    store: EventStore,
    queue: mpsc::Receiver<Waiting>,
    batches: Batches,
    flights: JoinSet<Landed>,
    under_way: HashMap<Id, UnderWay>,
}

impl Committer {
    pub(super) fn new(store: EventStore, queue: mpsc::Receiver<Waiting>) -> Self {
        let (batches, flights, under_way) = Default::default();
        Self { store, queue, batches, flights, under_way }
    }

    /// Works until the last handle is gone and everything is answered.
    pub(super) async fn run(mut self) {
        let mut taken = Vec::new();
        let mut open = true;
        loop {
            self.launch();
            if !open && self.flights.is_empty() && self.batches.len() == 0 {
                return;
            }
            // What waits beyond a full batch stays in the queue, which holds its callers back.
            let room = MAX_COMMANDS_PER_BATCH.saturating_sub(self.batches.len());
            tokio::select! {
                Some(landed) = self.flights.join_next_with_id() => self.land(landed),
                count = self.queue.recv_many(&mut taken, room), if open && room > 0 => open = count > 0,
            }
            // Whoever was just answered, or is about to hand something in, gets its turn before a batch is closed.
            tokio::task::yield_now().await;
            while taken.len() < room
                && let Ok(waiting) = self.queue.try_recv()
            {
                taken.push(waiting);
            }
            taken.drain(..).for_each(|waiting| self.batches.push(waiting));
        }
    }

    fn launch(&mut self) {
        while self.flights.len() < BATCHES_UNDER_WAY && self.is_worth_a_batch() {
            let next = self.batches.next();
            let stuck = next.batch.is_empty() && next.superseded.is_empty();
            if !next.superseded.is_empty() {
                tokio::spawn(answer_superseded(self.store.clone(), next.superseded));
            }
            if stuck {
                return;
            }
            if next.batch.is_empty() {
                continue;
            }
            let streams = next.batch.iter().map(|waiting| stream_key(&waiting.checked.command)).collect();
            let (commands, callers) =
                next.batch.into_iter().map(|Waiting { checked, caller }| (checked, caller)).unzip();
            let store = self.store.clone();
            let flight = self.flights.spawn(async move { commit(store, commands).await });
            self.under_way.insert(flight.id(), UnderWay { callers, streams });
        }
    }

    /// A second batch goes when it has as many commands as the one under way: smaller ones cost more commits than they
    /// save waiting.
    fn is_worth_a_batch(&self) -> bool {
        let commands: usize = self.under_way.values().map(|batch| batch.callers.len()).sum();
        self.batches.len() > 0 && self.batches.len() >= commands
    }

    fn land(&mut self, landed: Result<(Id, Landed), JoinError>) {
        let (id, landed) = match landed {
            Ok((id, landed)) => (id, Ok(landed)),
            Err(error) => (error.id(), Err(error)),
        };
        let Some(UnderWay { callers, streams }) = self.under_way.remove(&id) else { return };
        self.batches.landed(streams.iter());
        let (commands, outcome) = match landed {
            Ok(landed) => landed,
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "a commit's task ended");
                let source = Arc::new(sqlx::Error::WorkerCrashed);
                for caller in callers {
                    caller.answer(Err(AppendError::UnknownOutcome { source: Arc::clone(&source) }));
                }
                return;
            }
        };
        let batch: Vec<_> =
            commands.into_iter().zip(callers).map(|(checked, caller)| Waiting { checked, caller }).collect();
        match outcome {
            Ok(appended) => self.batches.recorded(batch, appended),
            Err(AppendError::Refused(refusal)) => self.batches.refused(batch, &refusal),
            Err(error @ (AppendError::Rejected { .. } | AppendError::Invalid(_))) => {
                self.batches.failed(batch, error);
            }
            Err(AppendError::Unavailable { source }) => {
                for waiting in batch {
                    waiting.answer(Err(AppendError::Unavailable { source: Arc::clone(&source) }));
                }
            }
            Err(AppendError::ReadOnly { source }) => {
                for waiting in batch {
                    waiting.answer(Err(AppendError::ReadOnly { source: Arc::clone(&source) }));
                }
            }
            Err(AppendError::UnknownOutcome { source }) => {
                for waiting in batch {
                    waiting.answer(Err(AppendError::UnknownOutcome { source: Arc::clone(&source) }));
                }
            }
        }
    }
}

async fn commit(store: EventStore, commands: Vec<Checked<CommandAppend>>) -> Landed {
    let outcome = store.append_checked(&commands).await;
    (commands, outcome)
}

/// Tells stale commands so. One that is recorded already is told that too, as the log itself would do.
async fn answer_superseded(store: EventStore, superseded: Vec<(Waiting, u64)>) {
    let ids: Vec<_> = superseded.iter().map(|(waiting, _)| waiting.checked.command.command_id).collect();
    let recorded = store.recorded_among(&ids).await;
    for (waiting, actual) in superseded {
        let command = &waiting.checked.command;
        let error = match &recorded {
            Ok(recorded) => AppendError::Refused(Refusal {
                known: recorded.get(&command.command_id).copied().into_iter().collect(),
                stale: vec![stale_stream(command, actual)],
                lost: Vec::new(),
            }),
            Err(source) => AppendError::Unavailable { source: Arc::clone(source) },
        };
        waiting.answer(Err(error));
    }
}
