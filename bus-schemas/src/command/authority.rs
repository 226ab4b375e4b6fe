//! Commands of an `authority`: a tenant's root and the keys it lets issue commands. They carry statements that prove
//! themselves, so whoever delivers one needs no grant.

use serde::{Deserialize, Serialize};

use super::commands;
use crate::authority::{IssuerGrant, Signed, TenantRoot};

/// The id of a tenant's only authority.
pub const AUTHORITY_ID: &str = "root";

commands! {
    /// What an authority may be asked.
    AuthorityCommand {
        /// Name the tenant's root key.
        RegisterRoot = "register-root",
        /// Let a key issue commands.
        Grant = "grant",
    }
}

/// `register-root`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RegisterRoot {
    /// Signed by the genesis quorum.
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
