use std::collections::BTreeSet;

use nsl_schemas::authority::{GenesisManifest, GrantChain, Operators, Signed};
use nsl_schemas::command::{Command, authority, price_feed, sealing, secret, wallet, worker};
use nsl_schemas::envelope::SignedCommand;
use nsl_schemas::event::{self, WireEvent as _};
use nsl_schemas::job::{ENCLAVE_KINDS, SUBMIT_KIND};
use nsl_schemas::outcome::SignedOutcome;
use nsl_schemas::subject::CommandSubject;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::*;

fn document(files: &Files, path: &str) -> Value {
    serde_json::from_str(files.get(path).unwrap_or_else(|| panic!("no {path}"))).unwrap()
}

fn read<T: DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}

/// Every reference in a document, with where it points.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(target) if name == "$ref" => {
                        found.insert(target.clone());
                    }
                    _ => references(member, found),
                }
            }
        }
        Value::Array(members) => members.iter().for_each(|member| references(member, found)),
        _ => {}
    }
}

#[test]
fn the_same_types_give_the_same_bytes() {
    assert_eq!(contract(), contract());
}

#[test]
fn every_verb_and_event_has_a_schema_and_a_channel() {
    let verbs = [
        ("authority", authority::AuthorityCommand::VERBS, event::authority::AuthorityEvent::TYPES),
        ("price-feed", price_feed::PriceFeedCommand::VERBS, event::price_feed::PriceFeedEvent::TYPES),
        ("rejection", &[], event::rejection::CommandRejected::TYPES),
        ("sealing", sealing::SealingCommand::VERBS, event::sealing::SealingEvent::TYPES),
        ("secret", secret::SecretCommand::VERBS, event::secret::SecretEvent::TYPES),
        ("wallet", wallet::WalletCommand::VERBS, event::wallet::WalletEvent::TYPES),
        ("worker", worker::WorkerCommand::VERBS, event::worker::WorkerEvent::TYPES),
    ];
    for aggregate in Command::AGGREGATES {
        assert!(verbs.iter().any(|(known, ..)| known == aggregate), "{aggregate}");
    }
    let files = contract();
    let asyncapi = document(&files, "asyncapi.json");
    for (aggregate, verbs, events) in verbs {
        let commands = verbs.iter().map(|verb| format!("command.{aggregate}.{verb}"));
        let events = events.iter().map(|event| format!("event.{aggregate}.{}", event.name));
        for name in commands.chain(events) {
            let schema = document(&files, &format!("schemas/{name}.json"));
            assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema", "{name}");
            assert_eq!(schema["type"], "object", "{name}");
            assert!(asyncapi["channels"][&name]["x-jetstream"]["stream"].is_string(), "{name}");
            assert!(asyncapi["operations"][&name]["action"].is_string(), "{name}");
        }
    }
    for kind in ENCLAVE_KINDS.iter().chain([&SUBMIT_KIND]) {
        assert!(asyncapi["channels"][format!("job.{kind}")]["address"].is_string(), "{kind}");
    }
}

#[test]
fn an_event_names_itself_in_its_payload() {
    let schema = document(&contract(), "schemas/event.wallet.transfer-signed.json");
    assert_eq!(schema["properties"]["event"]["const"], "transfer-signed");
    assert!(schema["required"].as_array().unwrap().contains(&Value::from("event")));
}

#[test]
fn every_reference_leads_somewhere() {
    let files = contract();
    for (path, text) in files.iter() {
        let parsed: Value = serde_json::from_str(text).unwrap();
        let mut found = BTreeSet::new();
        references(&parsed, &mut found);
        for target in found {
            let resolved = match target.strip_prefix("#") {
                Some(pointer) => parsed.pointer(pointer).is_some(),
                None => files.get(target.trim_start_matches("./")).is_some(),
            };
            assert!(resolved, "{path}: {target}");
        }
    }
}

#[test]
fn commands_of_the_vectors_hold() {
    let vectors = document(&contract(), "vectors/commands.json");
    for case in vectors["cases"].as_array().unwrap() {
        let command: SignedCommand = serde_json::from_str(case["canonical"].as_str().unwrap()).unwrap();
        let subject = command.verify().unwrap();
        Command::parse(&subject, command.payload.as_bytes()).unwrap();
        assert_eq!(case["request_sha256"], command.envelope.request_sha256().to_string());
    }
}

#[test]
fn only_what_is_in_scope_and_in_time_is_authorised_in_the_vectors() {
    let vectors = document(&contract(), "vectors/authority.json");
    let manifest: Signed<GenesisManifest> = read(&vectors["genesis"]["signed"]);
    assert!(manifest.is_signed_by(&manifest.statement.quorum));
    let chain: GrantChain = read(&vectors["grant_chain"]);
    let operators = Operators::of_genesis(&manifest.statement);
    let issuer = read(&vectors["keys"]["issuer"]["public_key"]);
    let mut allowed = Vec::new();
    for verdict in vectors["verdicts"].as_array().unwrap() {
        let subject = CommandSubject::parse(verdict["subject"].as_str().unwrap()).unwrap();
        let now_ms = verdict["now_ms"].as_u64().unwrap();
        let is_authorised = chain.authorises(&operators, issuer, &subject, now_ms).is_ok();
        assert_eq!(verdict["authorised"], is_authorised, "{verdict}");
        allowed.push(is_authorised);
    }
    assert_eq!(allowed, [true, false, false, false, false, false]);
}

#[test]
fn outcomes_of_the_vectors_are_their_workers() {
    let vectors = document(&contract(), "vectors/outcomes.json");
    for case in vectors["cases"].as_array().unwrap() {
        let outcome: SignedOutcome = read(&case["outcome"]);
        assert!(outcome.is_signed_by_worker());
    }
}
