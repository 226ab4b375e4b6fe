//! Leases on the partitions of the command stream: who holds one may append for it, until its epoch moves.

use std::time::Duration;

use sqlx::FromRow;

use crate::command::Fence;
use crate::session::answer;
use crate::store::EventStore;

/// Partitions of the command stream; changing it re-maps every aggregate, so it is fixed for a log's life.
pub const PARTITIONS: u16 = 64;
/// Longest lease: a dead owner's partitions wait that long.
pub const MAX_LEASE_TTL: Duration = Duration::from_mins(5);
/// Bytes of an owner's name: a host name and a process' id.
pub const MAX_OWNER_BYTES: usize = 256;

/// Why leases could not be taken, renewed or released.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// The owner's name is empty, too long or holds a NUL.
    #[error("lease owner must have 1 to {MAX_OWNER_BYTES} bytes and no NUL, it has {bytes} bytes")]
    Owner {
        /// How long it is.
        bytes: usize,
    },
    /// The lease would last no time, or too long.
    #[error("lease of {ttl:?} must last from 1 ms to {MAX_LEASE_TTL:?}")]
    Ttl {
        /// How long it would last.
        ttl: Duration,
    },
    /// There is no such partition.
    #[error("partition {partition} does not exist, there are {PARTITIONS}")]
    Partition {
        /// The partition.
        partition: u16,
    },
    /// The database does not answer. The leases may have been changed; taking again is always safe.
    #[error("{operation} failed")]
    Unavailable {
        /// What was tried.
        operation: &'static str,
        /// What went wrong.
        #[source]
        source: sqlx::Error,
    },
}

/// The state of a partition's lease.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Lease {
    /// The partition of the command stream.
    #[sqlx(try_from = "i16")]
    pub partition: u16,
    /// Who holds it, if anyone.
    pub owner: Option<String>,
    /// How often it changed hands.
    pub epoch: i64,
    /// Milliseconds left by the database's clock, negative after expiry; `None` when nobody holds it.
    pub expires_in_ms: Option<i64>,
}

impl EventStore {
    /// Takes those of the partitions that are free, expired or already the owner's, and answers their new fences.
    /// Each takeover fences off whatever appended before, so two processes must never use one owner name.
    pub async fn take_partitions(
        &self,
        owner: &str,
        partitions: &[u16],
        ttl: Duration,
    ) -> Result<Vec<Fence>, LeaseError> {
        check_owner(owner)?;
        let wanted = partitions.iter().copied().map(partition_column).collect::<Result<Vec<_>, _>>()?;
        let query = sqlx::query_as("SELECT partition, epoch FROM take_partitions($1, $2, $3)")
            .bind(owner)
            .bind(wanted)
            .bind(ttl_column(ttl)?);
        let taken: Vec<(i16, i64)> =
            answer(query.fetch_all(&self.appender)).await.map_err(unavailable("taking partitions"))?;
        Ok(taken
            .into_iter()
            .filter_map(|(partition, epoch)| Some(Fence { partition: u16::try_from(partition).ok()?, epoch }))
            .collect())
    }

    /// Prolongs the leases and answers those that are still held; the others' epochs have moved.
    pub async fn renew_partitions(
        &self,
        owner: &str,
        fences: &[Fence],
        ttl: Duration,
    ) -> Result<Vec<Fence>, LeaseError> {
        check_owner(owner)?;
        let (partitions, epochs) = fence_columns(fences)?;
        let query = sqlx::query_scalar("SELECT renew_partitions($1, $2, $3, $4)")
            .bind(owner)
            .bind(partitions)
            .bind(epochs)
            .bind(ttl_column(ttl)?);
        let renewed: Vec<i16> =
            answer(query.fetch_all(&self.appender)).await.map_err(unavailable("renewing partitions"))?;
        Ok(those_of(fences, &renewed))
    }

    /// Gives the leases back and answers those that were still held; appends under them are refused from now on.
    pub async fn release_partitions(&self, owner: &str, fences: &[Fence]) -> Result<Vec<Fence>, LeaseError> {
        check_owner(owner)?;
        let (partitions, epochs) = fence_columns(fences)?;
        let query = sqlx::query_scalar("SELECT release_partitions($1, $2, $3)")
            .bind(owner)
            .bind(partitions)
            .bind(epochs);
        let released: Vec<i16> =
            answer(query.fetch_all(&self.appender)).await.map_err(unavailable("releasing partitions"))?;
        Ok(those_of(fences, &released))
    }
}

fn unavailable(operation: &'static str) -> impl Fn(sqlx::Error) -> LeaseError {
    move |source| LeaseError::Unavailable { operation, source }
}

fn those_of(fences: &[Fence], partitions: &[i16]) -> Vec<Fence> {
    let answered = |fence: &&Fence| {
        partitions.iter().any(|partition| i32::from(*partition) == i32::from(fence.partition))
    };
    fences.iter().filter(answered).copied().collect()
}

fn check_owner(owner: &str) -> Result<(), LeaseError> {
    if owner.is_empty() || owner.len() > MAX_OWNER_BYTES || owner.contains('\0') {
        return Err(LeaseError::Owner { bytes: owner.len() });
    }
    Ok(())
}

fn ttl_column(ttl: Duration) -> Result<i64, LeaseError> {
    if ttl < Duration::from_millis(1) || ttl > MAX_LEASE_TTL {
        return Err(LeaseError::Ttl { ttl });
    }
    i64::try_from(ttl.as_millis()).map_err(|_| LeaseError::Ttl { ttl })
}

fn partition_column(partition: u16) -> Result<i16, LeaseError> {
    match i16::try_from(partition) {
        Ok(column) if partition < PARTITIONS => Ok(column),
        _ => Err(LeaseError::Partition { partition }),
    }
}

fn fence_columns(fences: &[Fence]) -> Result<(Vec<i16>, Vec<i64>), LeaseError> {
    fences.iter().map(|fence| Ok((partition_column(fence.partition)?, fence.epoch))).collect()
}
