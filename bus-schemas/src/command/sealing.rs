//! Commands of `sealing`: the log's sealing keys. Records prove themselves, so whoever delivers one needs no grant.

use serde::{Deserialize, Serialize};

use super::commands;
use crate::sealing::SealingRecord;

/// The id of the log's only sequence of sealing keys, in the tenant `system`.
pub const SEALING_ID: &str = "root";

commands! {
    /// What may be asked of the log's sealing keys.
    SealingCommand {
        /// Record a key that a worker founded, for its custodians to find.
        RecordKey = "record-key",
    }
}

/// `record-key`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RecordKey {
    /// Attested by the worker that founded the key.
    pub record: SealingRecord,
}
