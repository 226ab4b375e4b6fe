//! How far a follower of the log is, kept in the database of what it writes and committed with it.
//!
//! The row is also the lock between processes: who writes for a follower holds it, and finds out if it moved.

use sqlx::postgres::{PgConnection, PgPool};

use crate::database::bigint;

/// A place in the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct Checkpoint {
    /// Everything up to this position is applied.
    #[sqlx(try_from = "i64")]
    pub position: u64,
    /// Grows with each rebuild.
    pub generation: i64,
}

/// The checkpoint of a follower; it begins at 0.
pub async fn load(pool: &PgPool, follower: &str) -> Result<Checkpoint, sqlx::Error> {
    sqlx::query("INSERT INTO checkpoints (follower) VALUES ($1) ON CONFLICT DO NOTHING")
        .bind(follower)
        .execute(pool)
        .await?;
    sqlx::query_as("SELECT position, generation FROM checkpoints WHERE follower = $1")
        .bind(follower)
        .fetch_one(pool)
        .await
}

/// Locks the checkpoint until the end of the transaction.
pub async fn lock(transaction: &mut PgConnection, follower: &str) -> Result<Checkpoint, sqlx::Error> {
    sqlx::query_as("SELECT position, generation FROM checkpoints WHERE follower = $1 FOR UPDATE")
        .bind(follower)
        .fetch_one(transaction)
        .await
}

/// Moves a locked checkpoint; whatever stopped the follower is over.
pub async fn advance(
    transaction: &mut PgConnection,
    follower: &str,
    position: u64,
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE checkpoints SET position = $2, error = NULL WHERE follower = $1")
        .bind(follower)
        .bind(bigint(position))
        .execute(transaction)
        .await?;
    Ok(())
}

/// Keeps why a follower stopped, for whoever looks at the table.
pub async fn record_stop(pool: &PgPool, follower: &str, reason: &str) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE checkpoints SET error = $2 WHERE follower = $1")
        .bind(follower)
        .bind(reason)
        .execute(pool)
        .await?;
    Ok(())
}

/// Why a follower stopped, if it did.
pub async fn stop_reason(pool: &PgPool, follower: &str) -> Result<Option<String>, sqlx::Error> {
    let reason: Option<Option<String>> =
        sqlx::query_scalar("SELECT error FROM checkpoints WHERE follower = $1")
            .bind(follower)
            .fetch_optional(pool)
            .await?;
    Ok(reason.flatten())
}
