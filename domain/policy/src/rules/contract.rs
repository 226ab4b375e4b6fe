//! The contracts that may be called, each with its methods. A transfer calls its asset's method `transfer`.

use std::collections::BTreeSet;

use nsl_neo::Hash160;
use nsl_schemas::policy::{CONTRACTS_MAX, METHOD_BYTES_MAX, METHODS_MAX, Policy};

use super::is_canonical;
use crate::transaction::METHOD;
use crate::{Denied, TransferFacts, Unsound};

pub(crate) fn check(policy: &Policy, transfer: &TransferFacts<'_>) -> Result<(), Denied> {
    let Some(contracts) = &policy.rules.contracts else { return Ok(()) };
    let rule = contracts.iter().find(|rule| rule.contract == transfer.asset).ok_or(Denied::Contract)?;
    if rule.methods.iter().any(|method| method == METHOD) { Ok(()) } else { Err(Denied::Method) }
}

pub(crate) fn check_sound(policy: &Policy) -> Result<(), Unsound> {
    let Some(contracts) = &policy.rules.contracts else { return Ok(()) };
    let distinct: BTreeSet<_> = contracts.iter().map(|rule| &rule.contract).collect();
    if contracts.len() > CONTRACTS_MAX || distinct.len() != contracts.len() {
        return Err(Unsound::Contracts);
    }
    for rule in contracts {
        if !is_canonical::<Hash160>(&rule.contract) {
            return Err(Unsound::Contract(rule.contract.clone()));
        }
        let distinct: BTreeSet<_> = rule.methods.iter().collect();
        let is_named = |method: &String| (1..=METHOD_BYTES_MAX).contains(&method.len());
        let are_methods = (1..=METHODS_MAX).contains(&rule.methods.len())
            && distinct.len() == rule.methods.len()
            && rule.methods.iter().all(is_named);
        if !are_methods {
            return Err(Unsound::Methods(rule.contract.clone()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_policy::{GAS, NEO, facts, with_rules};
    use nsl_schemas::policy::ContractRule;
    use proptest::prelude::*;

    proptest! {
        /// Deny by default: a transfer passes exactly where its contract is listed with its method.
        #[test]
        fn only_what_is_listed_is_called(
            listed in prop::collection::btree_map(prop::sample::select(vec![GAS, NEO]),
                prop::collection::vec(prop::sample::select(vec!["transfer", "balanceOf", "Transfer"]), 1..3), 0..3),
        ) {
            let rule = |(contract, methods): (&&str, &Vec<&str>)| ContractRule {
                contract: (*contract).into(),
                methods: methods.iter().map(|method| (*method).into()).collect(),
            };
            let policy = with_rules(|rules| rules.contracts = Some(listed.iter().map(rule).collect()));
            let expected = match listed.get(GAS) {
                None => Err(Denied::Contract),
                Some(methods) if methods.contains(&"transfer") => Ok(()),
                Some(_) => Err(Denied::Method),
            };
            prop_assert_eq!(check(&policy, &facts()), expected);
        }
    }
}
