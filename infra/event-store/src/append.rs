//! Group commit: a batch of commands in one round trip and one transaction, all of it or a named refusal.

use sqlx::Row;
use sqlx::postgres::{PgConnection, PgDatabaseError, PgRow, PgSeverity};
use uuid::Uuid;

use crate::batch::Batch;
use crate::command::{CommandAppend, Fence};
use crate::limits::InvalidBatch;
use crate::session::answer;
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

/// Why a batch was refused. All three empty: the reason passed between refusal and explanation; append again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// Commands that have receipts already.
    pub known: Vec<Uuid>,
    /// Streams that moved on (or are not yet where expected).
    pub stale: Vec<StaleStream>,
    /// Fences whose partition has another epoch.
    pub lost: Vec<Fence>,
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
        source: sqlx::Error,
    },
    /// Not written; append again with the same ids. (After a broken connection the receipts showed nothing. Should a
    /// cut-off server still carry the batch out, the repeat hears `Refused` with its commands known.)
    #[error("append failed, nothing is recorded")]
    Unavailable {
        /// What went wrong.
        #[source]
        source: sqlx::Error,
    },
    /// The connection broke and the receipts could not be asked; append again with the same ids, answer nothing yet.
    #[error("append may or may not be recorded")]
    UnknownOutcome {
        /// Why the receipts could not be asked.
        #[source]
        source: sqlx::Error,
    },
}

impl EventStore {
    /// Appends a batch: all of it in one durable commit, or nothing. A lost connection is resolved from the receipts
    /// before anything is answered. Dropping the future leaves the outcome open; append again with the same ids.
    pub async fn append(&self, commands: &[CommandAppend]) -> Result<Appended, AppendError> {
        let batch = Batch::new(commands)?;
        let mut connection =
            self.appender.acquire().await.map_err(|source| AppendError::Unavailable { source })?;
        let broken = match answer(submit(&mut connection, &batch)).await {
            Ok(Some(appended)) => {
                self.recorded(&mut connection, &batch, appended).await;
                return Ok(appended);
            }
            Ok(None) => return Err(explain(&mut connection, &batch).await),
            Err(error) => match classify(error) {
                Failure::Definite(error) => return Err(error),
                Failure::Open(source) => source,
            },
        };
        connection.close_on_drop();
        drop(connection);
        let appended = self.settle(&batch, broken).await?;
        self.head_moved(appended.first_position + batch.last_offset());
        Ok(appended)
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

/// Sends the batch. The row arrives before the commit, so the reply is read to its end, which comes after it.
async fn submit(connection: &mut PgConnection, batch: &Batch<'_>) -> Result<Option<Appended>, sqlx::Error> {
    const APPEND: &str = "SELECT first_position, recorded_at_ms FROM append_batch(\
         $1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17,$18,$19,$20,$21,$22,$23,$24,$25)";
    let Batch { fences, streams, commands, events } = batch;
    let row = sqlx::query(APPEND)
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
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(appended).transpose()
}

fn appended(row: &PgRow) -> Result<Appended, sqlx::Error> {
    let first_position: i64 = row.try_get(0)?;
    let first_position = u64::try_from(first_position).map_err(|error| sqlx::Error::Decode(error.into()))?;
    Ok(Appended { first_position, recorded_at_ms: row.try_get(1)? })
}

/// Asks why the batch was refused.
async fn explain(connection: &mut PgConnection, batch: &Batch<'_>) -> AppendError {
    const EXPLAIN: &str = "SELECT reason, ordinal, actual FROM explain_refusal($1, $2, $3, $4, $5, $6)";
    let Batch { fences, streams, commands, .. } = batch;
    let query = sqlx::query_as::<_, (String, i64, Option<i64>)>(EXPLAIN)
        .bind(&fences.partition)
        .bind(&fences.epoch)
        .bind(&streams.aggregate_type)
        .bind(&streams.aggregate_id)
        .bind(&streams.expected)
        .bind(&commands.id);
    match answer(query.fetch_all(connection)).await {
        Ok(reasons) => AppendError::Refused(batch.refusal(&reasons)),
        Err(source) => AppendError::Unavailable { source },
    }
}

impl Batch<'_> {
    /// How far the batch's last event is from its first.
    pub(crate) fn last_offset(&self) -> u64 {
        (self.events.id.len() as u64).saturating_sub(1)
    }

    /// Turns the database's (reason, index from 1, actual value) back into what was meant.
    fn refusal(&self, reasons: &[(String, i64, Option<i64>)]) -> Refusal {
        let mut refusal = Refusal::default();
        for (reason, ordinal, actual) in reasons {
            let Some(index) = usize::try_from(*ordinal).ok().and_then(|ordinal| ordinal.checked_sub(1))
            else {
                continue;
            };
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
                Failure::Definite(if is_about_data(error) {
                    AppendError::Rejected { source }
                } else {
                    AppendError::Unavailable { source }
                })
            }
            _ => Failure::Open(source),
        },
        sqlx::Error::Encode(_) => Failure::Definite(AppendError::Rejected { source }),
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
