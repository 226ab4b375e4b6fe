//! The addresses that may receive.

use nsl_neo::Address;
use nsl_schemas::policy::{Policy, RECIPIENTS_MAX};

use super::is_canonical;
use crate::{Denied, TransferFacts, Unsound};

pub(crate) fn check(policy: &Policy, transfer: &TransferFacts<'_>) -> Result<(), Denied> {
    let is_listed = |listed: &Vec<String>| listed.iter().any(|address| address == transfer.recipient);
    if policy.recipients.as_ref().is_none_or(is_listed) { Ok(()) } else { Err(Denied::Recipient) }
}

pub(crate) fn check_sound(policy: &Policy) -> Result<(), Unsound> {
    let recipients = policy.recipients.as_deref().unwrap_or_default();
    if recipients.len() > RECIPIENTS_MAX {
        return Err(Unsound::Recipients);
    }
    match recipients.iter().find(|address| !is_canonical::<Address>(address)) {
        Some(address) => Err(Unsound::Recipient(address.clone())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_policy::{facts, policy};

    #[test]
    fn no_list_is_anyone_and_an_empty_list_is_no_one() {
        let elsewhere = TransferFacts { recipient: "NB", ..facts() };
        assert_eq!(check(&Policy { recipients: None, ..policy() }, &elsewhere), Ok(()));
        assert_eq!(check(&Policy { recipients: Some(vec![]), ..policy() }, &facts()), Err(Denied::Recipient));
    }
}
