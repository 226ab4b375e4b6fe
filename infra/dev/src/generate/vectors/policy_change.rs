//! A policy, its hash, and its replacement signed by the owners.

use nsl_schemas::authority::Signed;
use nsl_schemas::canonical;
use nsl_schemas::nkey::SigningKey;
use nsl_schemas::policy::{Policy, PolicyChange};
use nsl_schemas::token::AggregateId;
use serde_json::{Value, json};

use super::{OWNER_SEED, RECIPIENT, key, policy, statement, tenant};

pub(super) fn document() -> Value {
    let previous = policy();
    let change = PolicyChange {
        tenant: tenant(),
        wallet: AggregateId::parse("main").expect("four lower-case letters are a token"),
        previous_sha256: previous.sha256(),
        policy: Policy { recipients: Some(vec![RECIPIENT.to_owned()]), ..previous.clone() },
    };
    let signed = Signed::sign(change, &[&SigningKey::from_seed(&OWNER_SEED)]);
    json!({
        "about": "A change names the hash of the policy that it ends, so it cannot be replayed over another one.",
        "owner": key(&OWNER_SEED),
        "previous": { "canonical": canonical::to_string(&previous), "sha256": previous.sha256() },
        "change": statement(&signed),
    })
}
