//! The scopes that the wallet's witness may have.

use std::collections::BTreeSet;

use nsl_schemas::policy::{Policy, SCOPES_MAX};

use crate::transaction::SCOPE;
use crate::{Denied, Unsound};

pub(crate) fn check(policy: &Policy) -> Result<(), Denied> {
    let is_listed = policy.rules.scopes.as_ref().is_none_or(|scopes| scopes.contains(&SCOPE));
    if is_listed { Ok(()) } else { Err(Denied::Scope) }
}

pub(crate) fn check_sound(policy: &Policy) -> Result<(), Unsound> {
    let Some(scopes) = &policy.rules.scopes else { return Ok(()) };
    let distinct: BTreeSet<_> = scopes.iter().collect();
    let is_sound = (1..=SCOPES_MAX).contains(&scopes.len()) && distinct.len() == scopes.len();
    if is_sound { Ok(()) } else { Err(Unsound::Scopes) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_policy::with_rules;
    use nsl_schemas::policy::WitnessScope::{self, CalledByEntry, Global, None as FeeOnly};

    #[test]
    fn only_a_listed_scope_passes() {
        let judged = |scopes: Option<Vec<WitnessScope>>| check(&with_rules(|rules| rules.scopes = scopes));
        assert_eq!(judged(None), Ok(()));
        assert_eq!(judged(Some(vec![Global, CalledByEntry])), Ok(()));
        assert_eq!(judged(Some(vec![Global, FeeOnly])), Err(Denied::Scope));
        assert_eq!(judged(Some(vec![])), Err(Denied::Scope));
    }
}
