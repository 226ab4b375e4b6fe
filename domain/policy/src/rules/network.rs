//! The network that the wallet signs for.

use nsl_schemas::policy::Policy;

use crate::{Denied, TransferFacts};

pub(crate) fn check(policy: &Policy, transfer: &TransferFacts<'_>) -> Result<(), Denied> {
    if policy.network_magic == transfer.network_magic { Ok(()) } else { Err(Denied::Network) }
}
