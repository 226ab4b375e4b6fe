//! What system and network fee may be together.

use nsl_schemas::policy::Policy;

use crate::{Denied, TransferFacts};

pub(crate) fn check(policy: &Policy, transfer: &TransferFacts<'_>) -> Result<(), Denied> {
    if transfer.fee_datoshi > u128::from(policy.fee_max_datoshi.0) { Err(Denied::Fee) } else { Ok(()) }
}
