//! Events of `sealing`.

use serde::{Deserialize, Serialize};

use super::events;
use crate::sealing::SealingRecord;

events! {
    /// What happened to the log's sealing keys.
    SealingEvent of "sealing" {
        /// A key was founded; a quorum of its custodians can give it to workers.
        SealingKeyFounded = "sealing-key-founded",
    }
}

/// `sealing-key-founded`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SealingKeyFounded {
    /// With everything that bringing it back needs but the custodians' own keys.
    pub record: SealingRecord,
}
