//! Group commit: a batch of commands in one round trip and one transaction, all of it or a named refusal.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::sync::Arc;

use sqlx::FromRow;
use sqlx::postgres::{PgConnection, PgDatabaseError, PgSeverity};
use uuid::Uuid;

use crate::batch::{Batch, Checked};
use crate::command::{CommandAppend, Fence};
use crate::limits::InvalidBatch;
use crate::session::{answer, is_read_only_refusal};
use crate::store::EventStore;

/// Where and when a batch was recorded. Its events have contiguous positions, in the batch's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The position of the batch's first event.
    pub first_position: u64,
    /// The database's time of recording, in milliseconds since 1970.
    pub recorded_at_ms: i64,
}

/// A stream that is not at the version a command expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaleStream {
    /// The stream's type.
    pub aggregate_type: String,
    /// The stream's id.
    pub aggregate_id: String,
    /// What the batch's first command on it expected.
    pub expected: u64,
    /// Where it is.
    pub actual: u64,
}

/// Why a batch was refused; at least one of the three has an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// Commands that have receipts already.
    pub known: Vec<Uuid>,
    /// Streams that moved on (or are not yet where expected).
    pub stale: Vec<StaleStream>,
    /// Fences whose partition has another epoch.
    pub lost: Vec<Fence>,
}

impl Refusal {
    /// Whether streams moved on and nothing else is wrong: then, and only then, does deciding again help.
    pub fn is_stale_only(&self) -> bool {
        !self.stale.is_empty() && self.known.is_empty() && self.lost.is_empty()
    }
}

/// Why a batch was not appended, or is not known to be.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The log's state does not allow the batch; nothing was written.
    #[error(
        "append refused: {} commands known, {} streams stale, {} fences lost",
        .0.known.len(), .0.stale.len(), .0.lost.len()
    )]
    Refused(Refusal),
    /// The batch breaks a limit or contradicts itself; nothing was sent.
    #[error("batch is invalid")]
    Invalid(#[from] InvalidBatch),
    /// The database refused the data; the same batch would fail again. Nothing was written.
    #[error("database refuses the batch's data")]
    Rejected {
        /// What the database says.
        #[source]
        source: Arc<sqlx::Error>,
    },
    /// Not written; append again with the same ids. (After a broken connection the receipts showed nothing. Should a
    /// cut-off server still carry the batch out, the repeat hears `Refused` with its commands known.)
    #[error("append failed, nothing is recorded")]
    Unavailable {
        /// What went wrong.
        #[source]
        source: Arc<sqlx::Error>,
    },
    /// The server takes no writes: the address leads to a standby. Nothing was written; append again with the same ids.
    #[error("database server is read-only, perhaps a standby; nothing is recorded")]
    ReadOnly {
        /// What the database says.
        #[source]
        source: Arc<sqlx::Error>,
    },
    /// The connection broke and the receipts could not be asked; append again with the same ids, answer nothing yet.
    #[error("append may or may not be recorded")]
    UnknownOutcome {
        /// Why the receipts could not be asked.
        #[source]
        source: Arc<sqlx::Error>,
    },
}

impl EventStore {
    /// Appends a batch: all of it in one durable commit, or nothing. A lost connection is resolved from the receipts
    /// before anything is answered. Dropping the future leaves the outcome open; append again with the same ids.
    pub async fn append(&self, commands: &[CommandAppend]) -> Result<Appended, AppendError> {
        let checked = commands.iter().map(Checked::new).collect::<Result<Vec<_>, _>>()?;
        self.append_checked(&checked).await
    }

    pub(crate) async fn append_checked<C: Borrow<CommandAppend>>(
        &self,
        commands: &[Checked<C>],
    ) -> Result<Appended, AppendError> {
        let batch = Batch::new(commands)?;
        let mut connection = self.appender.acquire().await.map_err(unavailable)?;
        let broken = match answer(submit(&mut connection, &batch)).await {
            Ok(rows) => {
                let appended = batch.verdict(&rows)?;
                self.recorded(&mut connection, &batch, appended).await;
                return Ok(appended);
            }
            Err(error) => match classify(error) {
                Failure::Definite(error) => {
                    if let AppendError::ReadOnly { .. } = error {
                        connection.close_on_drop(); // the next session may reach another server
                    }
                    return Err(error);
                }
                Failure::Open(source) => source,
            },
        };
        connection.close_on_drop();
        drop(connection);
        let appended = self.settle(&batch, broken).await?;
        self.head_moved(appended.first_position + batch.last_offset());
        Ok(appended)
    }

    /// Those of the commands that have receipts.
    pub(crate) async fn recorded_among(&self, ids: &[Uuid]) -> Result<HashSet<Uuid>, Arc<sqlx::Error>> {
        let query =
            sqlx::query_scalar("SELECT command_id FROM receipts WHERE command_id = ANY ($1)").bind(ids);
        Ok(answer(query.fetch_all(&self.appender)).await?.into_iter().collect())
    }

    /// After the commit: wakes readers and keeps partitions ahead. The events are recorded, so nothing here may fail
    /// the append; the next one tries again.
    async fn recorded(&self, connection: &mut PgConnection, batch: &Batch<'_>, appended: Appended) {
        let head = appended.first_position + batch.last_offset();
        self.head_moved(head);
        if let Err(error) = answer(self.partitions.keep_ahead(connection, head)).await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                head,
                "log partitions ahead cannot be made"
            );
        }
    }
}

/// A row of `append_commands`: one with a position, or one for each reason.
#[derive(Debug, FromRow)]
struct Outcome {
    first_position: Option<i64>,
    recorded_at_ms: Option<i64>,
    reason: Option<String>,
    ordinal: Option<i64>,
    actual: Option<i64>,
}

/// Sends the batch. The rows arrive before the commit, so the reply is read to its end, which comes after it.
async fn submit(connection: &mut PgConnection, batch: &Batch<'_>) -> Result<Vec<Outcome>, sqlx::Error> {
    const APPEND: &str = "SELECT first_position, recorded_at_ms, reason, ordinal, actual FROM append_commands(\
         $1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17,$18,$19,$20,$21,$22,$23,$24,$25)";
    let Batch { fences, streams, commands, events } = batch;
    sqlx::query_as(APPEND)
        .bind(&fences.partition)
        .bind(&fences.epoch)
        .bind(&streams.aggregate_type)
        .bind(&streams.aggregate_id)
        .bind(&streams.expected)
        .bind(&streams.version)
        .bind(&commands.id)
        .bind(&commands.issuer)
        .bind(&commands.request_hash)
        .bind(&commands.answer)
        .bind(&commands.subject)
        .bind(&commands.envelope)
        .bind(&commands.payload)
        .bind(&commands.event_offset)
        .bind(&commands.event_count)
        .bind(&events.command_id)
        .bind(&events.aggregate_type)
        .bind(&events.aggregate_id)
        .bind(&events.sequence)
        .bind(&events.id)
        .bind(&events.event_type)
        .bind(&events.event_version)
        .bind(&events.payload)
        .bind(&events.metadata)
        .bind(&events.content_hash)
        .fetch_all(connection)
        .await
}

pub(crate) fn unavailable(source: sqlx::Error) -> AppendError {
    AppendError::Unavailable { source: Arc::new(source) }
}

impl Batch<'_> {
    /// How far the batch's last event is from its first.
    pub(crate) fn last_offset(&self) -> u64 {
        (self.events.id.len() as u64).saturating_sub(1)
    }

    /// What the database answered to the append.
    fn verdict(&self, rows: &[Outcome]) -> Result<Appended, AppendError> {
        let appended = rows.first().and_then(|row| {
            let first_position = u64::try_from(row.first_position?).ok()?;
            Some(Appended { first_position, recorded_at_ms: row.recorded_at_ms? })
        });
        appended.ok_or_else(|| AppendError::Refused(self.reasons(rows)))
    }

    /// Turns the database's (reason, index from 1, actual value) back into what was meant.
    fn reasons(&self, rows: &[Outcome]) -> Refusal {
        let mut refusal = Refusal::default();
        for Outcome { reason, ordinal, actual, .. } in rows {
            let index = ordinal.and_then(|ordinal| usize::try_from(ordinal).ok()?.checked_sub(1));
            let (Some(reason), Some(index)) = (reason, index) else { continue };
            match reason.as_str() {
                "known" => refusal.known.extend(self.commands.id.get(index)),
                "stale" => refusal.stale.extend(self.stale_stream(index, actual.unwrap_or(0))),
                _ => refusal.lost.extend(self.fence(index)),
            }
        }
        refusal
    }

    fn stale_stream(&self, index: usize, actual: i64) -> Option<StaleStream> {
        Some(StaleStream {
            aggregate_type: (*self.streams.aggregate_type.get(index)?).to_owned(),
            aggregate_id: (*self.streams.aggregate_id.get(index)?).to_owned(),
            expected: u64::try_from(*self.streams.expected.get(index)?).ok()?,
            actual: u64::try_from(actual).ok()?,
        })
    }

    fn fence(&self, index: usize) -> Option<Fence> {
        let partition = u16::try_from(*self.fences.partition.get(index)?).ok()?;
        Some(Fence { partition, epoch: *self.fences.epoch.get(index)? })
    }
}

/// Whether an error leaves the outcome open.
enum Failure {
    Definite(AppendError),
    Open(sqlx::Error),
}

/// Only an error that the server sent and survived proves the rollback; a FATAL one may come after the commit.
fn classify(source: sqlx::Error) -> Failure {
    match &source {
        sqlx::Error::Database(error) => match error.try_downcast_ref::<PgDatabaseError>() {
            Some(error) if error.severity() == PgSeverity::Error => {
                let is_about_data = is_about_data(error);
                let source = Arc::new(source);
                Failure::Definite(if is_about_data {
                    AppendError::Rejected { source }
                } else if is_read_only_refusal(&source) {
                    AppendError::ReadOnly { source }
                } else {
                    AppendError::Unavailable { source }
                })
            }
            _ => Failure::Open(source),
        },
        sqlx::Error::Encode(_) => Failure::Definite(AppendError::Rejected { source: Arc::new(source) }),
        _ => Failure::Open(source),
    }
}

/// Data exception, broken constraint or program limit. A missing partition is a check violation without a constraint
/// and passes when the partition is made.
fn is_about_data(error: &PgDatabaseError) -> bool {
    match error.code().get(..2) {
        Some("22" | "54") => true,
        Some("23") => error.constraint().is_some(),
        _ => false,
    }
}
