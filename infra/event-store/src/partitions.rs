//! Keeps partitions of the log made ahead of its head, so that no append ever waits for one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::postgres::PgConnection;

/// Positions in one partition of the log: small enough to seal and move, large enough to have few.
/// The same number stands in `ensure_event_partitions` (0002_append_only.sql).
pub const PARTITION_POSITIONS: u64 = 1_000_000;

/// How far ahead of the head a partition must exist: with half a partition to go there is ample time to try again.
const AHEAD: u64 = PARTITION_POSITIONS / 2;

/// Where the made partitions end, as far as this process knows.
#[derive(Clone, Debug, Default)]
pub(crate) struct PartitionFrontier {
    first_missing: Arc<AtomicU64>,
}

impl PartitionFrontier {
    /// Makes the partitions that are missing for the next appends after `head`; mostly there is nothing to do.
    pub(crate) async fn keep_ahead(
        &self,
        connection: &mut PgConnection,
        head: u64,
    ) -> Result<(), sqlx::Error> {
        let wanted = head.saturating_add(AHEAD);
        if wanted < self.first_missing.load(Ordering::Relaxed) {
            return Ok(());
        }
        let upto = i64::try_from(wanted).unwrap_or(i64::MAX);
        let first_missing: i64 =
            sqlx::query_scalar("SELECT ensure_event_partitions($1)").bind(upto).fetch_one(connection).await?;
        self.first_missing.fetch_max(u64::try_from(first_missing).unwrap_or(0), Ordering::Relaxed);
        Ok(())
    }
}
