//! What a host tells about its workers.

use serde::{Deserialize, Serialize};

use crate::bytes::Pcr;
use crate::nkey::PublicKey;

/// How the last replacement of a host's workers gets on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Rollout {
    /// There was none.
    #[default]
    None,
    /// Workers are being replaced.
    UnderWay,
    /// All workers are replaced.
    Done,
    /// A new worker failed; what served before serves, or is being put back.
    Halted,
}

/// A host and its workers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HostStatus {
    /// Its machine and process.
    pub host: String,
    /// Workers that it starts itself and that shall serve.
    pub size: u64,
    /// The last replacement of them.
    pub rollout: Rollout,
    /// Why the last of them that failed did, while fewer serve than shall, or while a replacement is halted.
    pub error: Option<String>,
    /// The view of the pool that endorses reservations, where the operators established one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool_view: Option<PoolViewStatus>,
    /// All of its workers, also those that somebody else started.
    pub workers: Vec<WorkerStatus>,
}

/// The view of the pool, as a host sees it; see [`crate::pool_view`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PoolViewStatus {
    /// Its number.
    pub number: u32,
    /// Its members.
    pub members: Vec<PublicKey>,
    /// Those of them that endorse in it now.
    pub endorsing: Vec<PublicKey>,
    /// Whether they are a majority. If not, transfers under rules that count wait until the operators establish a pool.
    pub has_majority: bool,
}

/// Whether a worker takes jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum WorkerState {
    /// It is not connected, or not admitted.
    Connecting,
    /// It takes jobs.
    Serving,
    /// Its calls kept failing; it is tried now and then.
    LeftAlone,
    /// It finishes what it took.
    Draining,
    /// It was told to end.
    Stopping,
}

/// An enclave worker as its host sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WorkerStatus {
    /// Where it listens.
    pub endpoint: String,
    /// Whether it takes jobs.
    pub state: WorkerState,
    /// Why it is not connected, if so.
    pub error: Option<String>,
    /// The key that signs its outcomes, once it was admitted.
    pub key: Option<PublicKey>,
    /// PCR0 of its build, once it was admitted.
    pub pcr0: Option<Pcr>,
    /// Its version, once it was admitted.
    pub version: Option<String>,
    /// Calls that it has not answered yet.
    pub in_flight: u64,
    /// Calls that it takes at once; 0 while it is not connected.
    pub window: u64,
    /// Calls that it answered since it came.
    pub answered: u64,
}
