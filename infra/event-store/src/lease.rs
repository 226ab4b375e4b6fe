//! Leases on the partitions of the command stream: who holds one may append for it, until its epoch moves.

use std::time::Duration;

use sqlx::FromRow;

use crate::command::Fence;
use crate::session::{answer, is_read_only_refusal};
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
    /// The server takes no writes: the address leads to a standby. No lease was changed.
    #[error("{operation} failed: database server is read-only, perhaps a standby")]
    ReadOnly {
        /// What was tried.
        operation: &'static str,
        /// What the database says.
        #[source]
        source: sqlx::Error,
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

/// A processor's place among those at work, from which follows how many partitions are its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// How many processors are at work, this one too.
    pub processors: u16,
    /// How many of them joined before this one.
    pub rank: u16,
}

impl Share {
    /// How many partitions this processor should hold. All shares together are all partitions, and no two differ by
    /// more than one, so processors that hold theirs have nothing to move.
    pub fn quota(self) -> u16 {
        let processors = self.processors.max(1);
        PARTITIONS / processors + u16::from(self.rank < PARTITIONS % processors)
    }
}

impl EventStore {
    /// Notes that the owner is at work for as long as a lease lasts, and answers its share.
    pub async fn join_processors(&self, owner: &str, ttl: Duration) -> Result<Share, LeaseError> {
        check_owner(owner)?;
        let failed = unavailable("joining the processors");
        let query = sqlx::query_as("SELECT at_work, before FROM join_processors($1, $2)")
            .bind(owner)
            .bind(ttl_column(ttl)?);
        let (processors, rank): (i64, i64) = answer(query.fetch_one(&self.appender)).await.map_err(failed)?;
        // Far more processors than partitions have no share either way.
        let bounded = |count: i64| u16::try_from(count).unwrap_or(u16::MAX);
        Ok(Share { processors: bounded(processors), rank: bounded(rank) })
    }

    /// Says that a run of a processor begins: earlier runs of the same name, which is the owner's before its last `/`, are
    /// over, and their partitions are free at once.
    pub async fn supersede_processors(&self, owner: &str) -> Result<(), LeaseError> {
        check_owner(owner)?;
        let query = sqlx::query("SELECT supersede_processors($1)").bind(owner);
        answer(query.execute(&self.appender)).await.map_err(unavailable("superseding earlier runs"))?;
        Ok(())
    }

    /// Says that the owner ends, so that the others' shares grow.
    pub async fn leave_processors(&self, owner: &str) -> Result<(), LeaseError> {
        check_owner(owner)?;
        let query = sqlx::query("SELECT leave_processors($1)").bind(owner);
        answer(query.execute(&self.appender)).await.map_err(unavailable("leaving the processors"))?;
        Ok(())
    }

    /// Takes up to `at_most` partitions that nobody holds any more, and answers their new fences. A partition of the
    /// owner's own that is not among the `held` counts as such: the answer to an earlier claim was lost.
    pub async fn claim_partitions(
        &self,
        owner: &str,
        held: &[u16],
        at_most: u16,
        ttl: Duration,
    ) -> Result<Vec<Fence>, LeaseError> {
        check_owner(owner)?;
        let held = held.iter().copied().map(partition_column).collect::<Result<Vec<_>, _>>()?;
        let query = sqlx::query_as("SELECT partition, epoch FROM claim_partitions($1, $2, $3, $4)")
            .bind(owner)
            .bind(held)
            .bind(i32::from(at_most))
            .bind(ttl_column(ttl)?);
        let claimed = answer(query.fetch_all(&self.appender)).await;
        Ok(fences(claimed.map_err(unavailable("claiming partitions"))?))
    }

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
        Ok(fences(taken))
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
    move |source| {
        if is_read_only_refusal(&source) {
            LeaseError::ReadOnly { operation, source }
        } else {
            LeaseError::Unavailable { operation, source }
        }
    }
}

fn fences(rows: Vec<(i16, i64)>) -> Vec<Fence> {
    let fence = |(partition, epoch)| Some(Fence { partition: u16::try_from(partition).ok()?, epoch });
    rows.into_iter().filter_map(fence).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_to_all_partitions_and_are_even() {
        for processors in 1..=2 * PARTITIONS {
            let quotas: Vec<u16> = (0..processors).map(|rank| Share { processors, rank }.quota()).collect();
            assert_eq!(quotas.iter().sum::<u16>(), PARTITIONS, "{processors}");
            let (least, most) = (quotas.iter().min().unwrap(), quotas.iter().max().unwrap());
            assert!(most - least <= 1, "{processors}: {quotas:?}");
        }
    }
}
