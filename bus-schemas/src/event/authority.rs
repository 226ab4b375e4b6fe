//! Events of an `authority`.

use serde::{Deserialize, Serialize};

use super::{Upcast, events};
use crate::authority::{
    GenesisManifest, GrantRevocation, IssuerGrant, OperatorStatement, Signed, TenantRoot, operator_acts,
};

/// 1.1.0 adds the root's `epoch`.
const ROOT_REGISTERED: &[Upcast] = &[Upcast { from: "1.0.0", change: None }];

/// 2.0.0 has further sealing providers; a manifest of before is one of now.
const GENESIS_RECORDED: &[Upcast] = &[Upcast { from: "1.0.0", change: Some(|payload| payload) }];

events! {
    /// What happened to a tenant's authority.
    AuthorityEvent of "authority" {
        /// The log began; position 1, in the system tenant's authority.
        GenesisRecorded = "genesis-recorded" in "2.0.0" from GENESIS_RECORDED,
        /// The tenant has a root key.
        RootRegistered = "root-registered" in "1.1.0" from ROOT_REGISTERED,
        /// A key may issue commands.
        IssuerGranted = "issuer-granted",
        /// A key may no longer issue commands.
        IssuerRevoked = "issuer-revoked",
        /// A measured build may hold keys.
        BuildAllowed = "build-allowed",
        /// A measured build may no longer hold keys.
        BuildRevoked = "build-revoked",
        /// No report of this worker is taken any more.
        WorkerRevoked = "worker-revoked",
        /// Other operators sign.
        QuorumReplaced = "quorum-replaced",
        /// Workers endorse reservations.
        PoolEstablished = "pool-established",
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
    /// Signed by the operators' quorum of its epoch.
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

/// `issuer-revoked`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct IssuerRevoked {
    /// Signed by the tenant root.
    pub revocation: Signed<GrantRevocation>,
}

operator_acts! {
    "The act, signed by the operators' quorum of its epoch." in
    BuildAllowed = "build-allowed",
    BuildRevoked = "build-revoked",
    WorkerRevoked = "worker-revoked",
    QuorumReplaced = "quorum-replaced",
    PoolEstablished = "pool-established",
}

impl AuthorityEvent {
    /// The operators' act that the event records, if it records one.
    pub fn into_operator_act(self) -> Option<Signed<OperatorStatement>> {
        match self {
            Self::BuildAllowed(BuildAllowed { act })
            | Self::BuildRevoked(BuildRevoked { act })
            | Self::WorkerRevoked(WorkerRevoked { act })
            | Self::QuorumReplaced(QuorumReplaced { act })
            | Self::PoolEstablished(PoolEstablished { act }) => Some(act),
            Self::GenesisRecorded(_)
            | Self::RootRegistered(_)
            | Self::IssuerGranted(_)
            | Self::IssuerRevoked(_) => None,
        }
    }
}
