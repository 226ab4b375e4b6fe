//! Events of an `authority`.

use serde::{Deserialize, Serialize};

use super::events;
use crate::authority::{GenesisManifest, IssuerGrant, Signed, TenantRoot};

events! {
    /// What happened to a tenant's authority.
    AuthorityEvent of "authority" {
        /// The log began; position 1, in the system tenant's authority.
        GenesisRecorded = "genesis-recorded",
        /// The tenant has a root key.
        RootRegistered = "root-registered",
        /// A key may issue commands.
        IssuerGranted = "issuer-granted",
    }
}

/// `genesis-recorded`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GenesisRecorded {
    /// The manifest, signed by its own quorum.
    pub manifest: Signed<GenesisManifest>,
}

/// `root-registered`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RootRegistered {
    /// Signed by the genesis quorum.
    pub root: Signed<TenantRoot>,
}

/// `issuer-granted`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct IssuerGranted {
    /// Signed by the tenant root.
    pub grant: Signed<IssuerGrant>,
}
