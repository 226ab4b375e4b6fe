//! Snapshots of long streams: a cache of folded states in a table of its own. A state is taken from there only when it
//! is of the same format, unharmed, and of this very history; else the stream is folded whole. Written in the
//! background, after the commit of everything they hold; a snapshot that is never written costs time alone.

use cqrs_es::Aggregate;
use nsl_schemas::event::{DecodeError, Stored};
use sha2::{Digest, Sha256};
use sqlx::FromRow;
use sqlx::postgres::PgPool;
use tokio::sync::mpsc;

use crate::aggregate::LoadError;
use crate::reader::EventReader;
use crate::session::answer;
use crate::store::EventStore;

/// Events after which a stream's next snapshot is taken: a load reads at most about two pages of the stream.
pub const SNAPSHOT_EVERY: u64 = 256;
/// Bytes of a state's JSON: a larger one is not kept, because reading it is no gain over folding.
pub const MAX_SNAPSHOT_BYTES: usize = 4 * 1024 * 1024;
/// Snapshots that wait to be written; one more is dropped, and taken again at a later load. At their full size they hold
/// 64 MiB.
const QUEUE_SNAPSHOTS: usize = 16;

/// A state on its way into the table.
#[derive(Debug)]
struct Snapshot {
    aggregate_type: &'static str,
    aggregate_id: String,
    version: i64,
    format: String,
    state: String,
}

/// Writes snapshots one after the other, apart from whoever offers them.
#[derive(Clone, Debug)]
pub(crate) struct SnapshotWriter {
    queue: mpsc::Sender<Snapshot>,
}

impl SnapshotWriter {
    /// Starts the task; it ends with the last handle.
    pub(crate) fn start(pool: PgPool) -> Self {
        let (queue, mut offered) = mpsc::channel::<Snapshot>(QUEUE_SNAPSHOTS);
        tokio::spawn(async move {
            while let Some(snapshot) = offered.recv().await {
                if let Err(error) = snapshot.store(&pool).await {
                    let error = &error as &dyn std::error::Error;
                    let Snapshot { aggregate_type, aggregate_id, .. } = snapshot;
                    tracing::warn!(error, aggregate_type, aggregate_id, "a snapshot cannot be stored");
                }
            }
        });
        Self { queue }
    }
}

impl Snapshot {
    async fn store(&self, pool: &PgPool) -> Result<(), sqlx::Error> {
        let state_hash = Sha256::digest(&self.state);
        let query = sqlx::query("SELECT store_snapshot($1, $2, $3, $4, $5, $6)")
            .bind(self.aggregate_type)
            .bind(&self.aggregate_id)
            .bind(self.version)
            .bind(&self.format)
            .bind(&self.state)
            .bind(state_hash.as_slice());
        answer(query.execute(pool)).await.map(drop)
    }
}

/// A snapshot as it is kept.
#[derive(Debug, FromRow)]
struct Kept {
    #[sqlx(try_from = "i64")]
    version: u64,
    content_hash: [u8; 32],
    state: String,
    state_hash: [u8; 32],
}

/// Why a kept snapshot is passed over.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("it cannot be read")]
    Read(#[source] sqlx::Error),
    #[error("its state is not what was stored")]
    Harmed,
    #[error("its state cannot be decoded")]
    Decode(#[source] serde_json::Error),
    #[error("the stream has another event at its version, or none")]
    OtherHistory,
}

impl EventStore {
    /// Loads an aggregate from its snapshot, if there is a usable one, and the events after it, as
    /// [`EventReader::load_aggregate`] does from all its events. When these were many, the next snapshot is taken.
    /// `state_version` is a constant of the aggregate's code: it changes whenever the state's fields or meaning do, so
    /// that no state of other code is ever taken.
    pub async fn load_snapshotted<A: Aggregate>(
        &self,
        aggregate_id: &str,
        decode: impl Fn(Stored<'_>) -> Result<A::Event, DecodeError>,
        state_version: u32,
    ) -> Result<(A, u64), LoadError> {
        let reader = self.reader();
        let (state, from) = match reader.snapshot::<A>(aggregate_id, state_version).await {
            Ok(found) => found.unwrap_or_default(),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, aggregate_type = A::TYPE, aggregate_id, "a snapshot is passed over");
                (A::default(), 0)
            }
        };
        let (aggregate, version) = reader.fold(state, from, aggregate_id, decode).await?;
        if version - from >= SNAPSHOT_EVERY {
            self.offer_snapshot(aggregate_id, version, state_version, &aggregate);
        }
        Ok((aggregate, version))
    }

    /// Offers a committed state to be kept; returns at once. The log must hold the aggregate's events up to `version`.
    pub fn offer_snapshot<A: Aggregate>(
        &self,
        aggregate_id: &str,
        version: u64,
        state_version: u32,
        aggregate: &A,
    ) {
        let Ok(place) = self.snapshots.queue.try_reserve() else { return };
        let Ok(version) = i64::try_from(version) else { return };
        match serde_json::to_string(aggregate) {
            Ok(state) if state.len() <= MAX_SNAPSHOT_BYTES => place.send(Snapshot {
                aggregate_type: A::TYPE,
                aggregate_id: aggregate_id.to_owned(),
                version,
                format: format(state_version),
                state,
            }),
            Ok(_) => {}
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, aggregate_type = A::TYPE, aggregate_id, "a state cannot be serialised");
            }
        }
    }
}

impl EventReader {
    /// The kept state and its version.
    async fn snapshot<A: Aggregate>(
        &self,
        aggregate_id: &str,
        state_version: u32,
    ) -> Result<Option<(A, u64)>, Unusable> {
        const SNAPSHOT: &str = "SELECT version, content_hash, state, state_hash FROM snapshots \
             WHERE aggregate_id = $1 AND aggregate_type = $2 AND format = $3";
        const ENDS_WITH: &str = "SELECT content_hash FROM events \
             WHERE aggregate_id = $1 AND aggregate_type = $2 AND sequence = $3";
        let query = sqlx::query_as(SNAPSHOT).bind(aggregate_id).bind(A::TYPE).bind(format(state_version));
        let kept: Option<Kept> = answer(query.fetch_optional(&self.pool)).await.map_err(Unusable::Read)?;
        let Some(kept) = kept else { return Ok(None) };
        if Sha256::digest(&kept.state).as_slice() != kept.state_hash {
            return Err(Unusable::Harmed);
        }
        let state = serde_json::from_str(&kept.state).map_err(Unusable::Decode)?;
        let last = i64::try_from(kept.version).map_err(|_| Unusable::OtherHistory)?;
        let query = sqlx::query_scalar(ENDS_WITH).bind(aggregate_id).bind(A::TYPE).bind(last);
        let found: Option<[u8; 32]> =
            answer(query.fetch_optional(&self.pool)).await.map_err(Unusable::Read)?;
        if found != Some(kept.content_hash) {
            return Err(Unusable::OtherHistory);
        }
        Ok(Some((state, kept.version)))
    }
}

/// Tells states of one aggregate type apart.
fn format(state_version: u32) -> String {
    state_version.to_string()
}
