//! Resolves an append whose connection broke: the receipts say whether it is recorded.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sqlx::FromRow;
use uuid::Uuid;

use crate::append::{AppendError, Appended, Refusal, unavailable};
use crate::batch::Batch;
use crate::session::answer;
use crate::store::EventStore;

/// How often the receipts are asked for: with the pauses below about ten seconds, a server's restart.
const ATTEMPTS: u32 = 8;
/// The pause after the first attempt; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// What `settle_receipts` tells of one command.
#[derive(Debug, FromRow)]
struct Settled {
    command_id: Uuid,
    request_hash: [u8; 32],
    first_position: i64,
    event_count: i32,
    recorded_at_ms: i64,
    /// Read after the others; every receipt has one.
    #[sqlx(default)]
    answer: Option<String>,
}

impl EventStore {
    /// Answers `Appended` when exactly this batch is recorded, else why it is not; `broken` is what happened to it.
    pub(crate) async fn settle(
        &self,
        batch: &Batch<'_>,
        broken: sqlx::Error,
    ) -> Result<Appended, AppendError> {
        let mut pause = FIRST_PAUSE;
        let mut attempt = 1;
        loop {
            match self.settled_receipts(batch).await {
                Ok(receipts) => return judge(batch, receipts, broken),
                Err(source) if attempt == ATTEMPTS => {
                    return Err(AppendError::UnknownOutcome { source: Arc::new(source) });
                }
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, attempt, "outcome of an append cannot be asked yet");
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            attempt += 1;
        }
    }

    async fn settled_receipts(&self, batch: &Batch<'_>) -> Result<Vec<Settled>, sqlx::Error> {
        const SETTLE: &str = "SELECT command_id, request_hash, first_position, event_count, recorded_at_ms \
                              FROM settle_receipts($1)";
        // A statement of its own: the first one's snapshot may be older than what it waited for at the head lock.
        const ANSWERS: &str = "SELECT command_id, answer::text FROM receipts WHERE command_id = ANY ($1)";
        let ids = &batch.commands.id;
        let mut settled: Vec<Settled> =
            answer(sqlx::query_as(SETTLE).bind(ids).fetch_all(&self.appender)).await?;
        if !settled.is_empty() {
            let answers: Vec<(Uuid, String)> =
                answer(sqlx::query_as(ANSWERS).bind(ids).fetch_all(&self.appender)).await?;
            let mut answers: HashMap<_, _> = answers.into_iter().collect();
            for receipt in &mut settled {
                receipt.answer = answers.remove(&receipt.command_id);
            }
        }
        Ok(settled)
    }
}

/// All receipts with our hashes and answers, lying one after the other as in our batch: it is recorded as a whole. None:
/// it is not recorded. Anything else was appended before, by this store or another, and ours was refused: a command that
/// was sent again may have been decided otherwise the first time, and that decision counts.
fn judge(batch: &Batch<'_>, receipts: Vec<Settled>, broken: sqlx::Error) -> Result<Appended, AppendError> {
    if receipts.is_empty() {
        return Err(unavailable(broken));
    }
    let known = receipts.iter().map(|receipt| receipt.command_id).collect();
    let receipts: HashMap<Uuid, Settled> =
        receipts.into_iter().map(|receipt| (receipt.command_id, receipt)).collect();
    let commands = &batch.commands;
    let first = commands.id.first().and_then(|id| receipts.get(id));
    let ours = |index: usize, first: &Settled| {
        receipts.get(&commands.id[index]).is_some_and(|receipt| {
            receipt.request_hash == commands.request_hash[index]
                && receipt.event_count == commands.event_count[index]
                && receipt.answer.as_deref() == Some(commands.answer[index])
                && receipt.first_position == first.first_position + i64::from(commands.event_offset[index])
        })
    };
    match first {
        Some(first) if (0..commands.id.len()).all(|index| ours(index, first)) => Ok(Appended {
            first_position: u64::try_from(first.first_position).map_err(|error| {
                AppendError::UnknownOutcome { source: Arc::new(sqlx::Error::Decode(error.into())) }
            })?,
            recorded_at_ms: first.recorded_at_ms,
        }),
        _ => Err(AppendError::Refused(Refusal { known, ..Refusal::default() })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::CommandColumns;

    fn batch() -> Batch<'static> {
        Batch {
            commands: CommandColumns {
                id: vec![Uuid::from_u128(1), Uuid::from_u128(2)],
                request_hash: vec![&[1; 32], &[2; 32]],
                event_offset: vec![0, 3],
                event_count: vec![3, 1],
                answer: vec!["{}", "{}"],
                ..CommandColumns::default()
            },
            ..Batch::default()
        }
    }

    fn receipt(id: u128, hash: u8, first_position: i64, event_count: i32) -> Settled {
        Settled {
            command_id: Uuid::from_u128(id),
            request_hash: [hash; 32],
            first_position,
            event_count,
            recorded_at_ms: 5,
            answer: Some("{}".to_owned()),
        }
    }

    fn answered_otherwise(id: u128, hash: u8, first_position: i64, event_count: i32) -> Settled {
        let answer = Some("{\"version\":1}".to_owned());
        Settled { answer, ..receipt(id, hash, first_position, event_count) }
    }

    fn outcome(receipts: Vec<Settled>) -> &'static str {
        match judge(&batch(), receipts, sqlx::Error::WorkerCrashed) {
            Ok(Appended { first_position: 11, recorded_at_ms: 5 }) => "appended",
            Ok(_) => "elsewhere",
            Err(AppendError::Unavailable { .. }) => "not recorded",
            Err(AppendError::Refused(_)) => "refused",
            Err(_) => "other",
        }
    }

    #[test]
    fn only_exactly_this_batch_counts_as_appended() {
        let table = [
            (vec![], "not recorded"),
            (vec![receipt(2, 2, 14, 1), receipt(1, 1, 11, 3)], "appended"),
            (vec![receipt(1, 1, 11, 3)], "refused"),
            (vec![receipt(2, 2, 14, 1)], "refused"),
            (vec![receipt(1, 1, 11, 3), receipt(2, 9, 14, 1)], "refused"),
            (vec![receipt(1, 1, 11, 3), receipt(2, 2, 15, 1)], "refused"),
            (vec![receipt(1, 1, 11, 2), receipt(2, 2, 14, 1)], "refused"),
            (vec![receipt(1, 1, 11, 3), answered_otherwise(2, 2, 14, 1)], "refused"),
        ];
        for (receipts, expected) in table {
            let shown = format!("{receipts:?}");
            assert_eq!(outcome(receipts), expected, "{shown}");
        }
    }
}
