//! Commands of an `authority`: a tenant's root and the keys it lets issue commands; in the system tenant's, the
//! operators' acts. They carry statements that prove themselves, so whoever delivers one needs no grant.

use serde::{Deserialize, Serialize};

use super::commands;
use crate::authority::{GrantRevocation, IssuerGrant, OperatorStatement, Signed, TenantRoot, operator_acts};

/// The id of a tenant's only authority.
pub const AUTHORITY_ID: &str = "root";

commands! {
    /// What an authority may be asked.
    AuthorityCommand {
        /// Name the tenant's root key.
        RegisterRoot = "register-root",
        /// Let a key issue commands.
        Grant = "grant",
        /// Take back what a key was let.
        Revoke = "revoke",
        /// Let a measured build hold keys.
        AllowBuild = "allow-build",
        /// Let a measured build hold keys no longer.
        RevokeBuild = "revoke-build",
        /// Take no more reports of a worker.
        RevokeWorker = "revoke-worker",
        /// Let other operators sign.
        ReplaceQuorum = "replace-quorum",
        /// Let these workers endorse reservations.
        EstablishPool = "establish-pool",
    }
}

/// `register-root`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RegisterRoot {
    /// Signed by the operators' quorum.
    pub root: Signed<TenantRoot>,
}

/// `grant`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Grant {
    /// Signed by the tenant root.
    pub grant: Signed<IssuerGrant>,
}

/// `revoke`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Revoke {
    /// Signed by the tenant root.
    pub revocation: Signed<GrantRevocation>,
}

operator_acts! {
    "An act of the verb's kind, signed by the operators' quorum." in
    AllowBuild = "allow-build",
    RevokeBuild = "revoke-build",
    RevokeWorker = "revoke-worker",
    ReplaceQuorum = "replace-quorum",
    EstablishPool = "establish-pool",
}

impl AuthorityCommand {
    /// The operators' act that the command does, if it does one.
    pub fn operator_act(&self) -> Option<&Signed<OperatorStatement>> {
        match self {
            Self::AllowBuild(AllowBuild { act })
            | Self::RevokeBuild(RevokeBuild { act })
            | Self::RevokeWorker(RevokeWorker { act })
            | Self::ReplaceQuorum(ReplaceQuorum { act })
            | Self::EstablishPool(EstablishPool { act }) => Some(act),
            Self::RegisterRoot(_) | Self::Grant(_) | Self::Revoke(_) => None,
        }
    }
}
