//! Signers in the JSON form that `invokescript` takes.

use nsl_neo::Signer;
use nsl_neo::signer::{ScopeLimits, WitnessScope};
use nsl_neo::witness_condition::{RuleAction, WitnessCondition, WitnessRule};
use serde_json::{Value, json};

pub(crate) fn signers_json(signers: &[Signer]) -> Value {
    signers.iter().map(signer_json).collect()
}

fn signer_json(signer: &Signer) -> Value {
    let account = signer.account;
    match &signer.scope {
        WitnessScope::Global => json!({ "account": account, "scopes": "Global" }),
        WitnessScope::Limited(limits) => json!({
            "account": account,
            "scopes": scope_names(limits),
            "allowedcontracts": limits.contracts,
            "allowedgroups": limits.groups,
            "rules": limits.rules.iter().map(rule_json).collect::<Value>(),
        }),
    }
}

fn scope_names(limits: &ScopeLimits) -> String {
    let names: Vec<_> = [
        (limits.called_by_entry, "CalledByEntry"),
        (!limits.contracts.is_empty(), "CustomContracts"),
        (!limits.groups.is_empty(), "CustomGroups"),
        (!limits.rules.is_empty(), "WitnessRules"),
    ]
    .into_iter()
    .filter_map(|(set, name)| set.then_some(name))
    .collect();
    if names.is_empty() { "None".to_owned() } else { names.join(", ") }
}

fn rule_json(rule: &WitnessRule) -> Value {
    let action = match rule.action {
        RuleAction::Deny => "Deny",
        RuleAction::Allow => "Allow",
    };
    json!({ "action": action, "condition": condition_json(&rule.condition) })
}

fn condition_json(condition: &WitnessCondition) -> Value {
    let all = |operands: &[WitnessCondition]| operands.iter().map(condition_json).collect::<Value>();
    match condition {
        WitnessCondition::Boolean(value) => json!({ "type": "Boolean", "expression": value }),
        WitnessCondition::Not(operand) => json!({ "type": "Not", "expression": condition_json(operand) }),
        WitnessCondition::And(operands) => json!({ "type": "And", "expressions": all(operands) }),
        WitnessCondition::Or(operands) => json!({ "type": "Or", "expressions": all(operands) }),
        WitnessCondition::ScriptHash(hash) => json!({ "type": "ScriptHash", "hash": hash }),
        WitnessCondition::Group(group) => json!({ "type": "Group", "group": group }),
        WitnessCondition::CalledByEntry => json!({ "type": "CalledByEntry" }),
        WitnessCondition::CalledByContract(hash) => json!({ "type": "CalledByContract", "hash": hash }),
        WitnessCondition::CalledByGroup(group) => json!({ "type": "CalledByGroup", "group": group }),
    }
}
