//! Changes of a whole contract, and what each breaks.

use serde_json::json;

use super::*;

/// Members by name; required without `?`.
fn schema(members: &[&str]) -> Value {
    let name = |member: &str| member.trim_end_matches('?').to_owned();
    let properties: serde_json::Map<String, Value> =
        members.iter().map(|member| (name(member), json!({ "type": "string" }))).collect();
    let required: Vec<_> = members.iter().filter(|member| !member.ends_with('?')).collect();
    json!({ "type": "object", "additionalProperties": false, "properties": properties, "required": required })
}

fn event(members: &[&str], versions: &[&str]) -> Value {
    let mut schema = schema(members);
    schema[VERSIONS] = json!(versions);
    schema
}

fn breaches(message: &str, old: Value, new: Option<Value>) -> Vec<String> {
    let one = |schema: Value| Schemas::from([(message.to_owned(), schema)]);
    let found = compare(&one(old), &new.map(one).unwrap_or_default());
    assert!(found.iter().all(|breach| !breach.way_out().is_empty()));
    found.iter().map(ToString::to_string).collect()
}

#[test]
fn a_new_message_breaks_nobody() {
    let present = Schemas::from([("command.wallet.close".to_owned(), schema(&["a"]))]);
    assert_eq!(compare(&Schemas::new(), &present), []);
}

#[test]
fn a_change_breaks_who_is_older() {
    let closed_command = "command.wallet.create: this build does not take what was released";
    for (message, old, new, expected) in [
        // Commands are written by the older.
        ("command.wallet.create", schema(&["a"]), Some(schema(&["a", "b?"])), &[][..]),
        ("command.wallet.create", schema(&["a"]), Some(schema(&["a?"])), &[]),
        ("command.wallet.create", schema(&["a"]), Some(schema(&["a", "b"])), &[closed_command]),
        ("command.wallet.create", schema(&["a?"]), Some(schema(&["a"])), &[closed_command]),
        ("command.wallet.create", schema(&["a", "b?"]), Some(schema(&["a"])), &[closed_command]),
        ("command.wallet.create", schema(&["a"]), None, &["command.wallet.create was released and is gone"]),
        ("query.wallet", schema(&["a"]), Some(schema(&["a", "b?"])), &[]),
        // Answers are read by the older.
        (
            "query.wallet.reply",
            schema(&["a"]),
            Some(schema(&["a", "b?"])),
            &["query.wallet.reply: what was released does not take what this build writes"],
        ),
        ("result", schema(&["a", "b?"]), Some(schema(&["a"])), &[]),
        ("result", schema(&["a"]), Some(schema(&["a?"])), &["result: what was released does not take"]),
        // Jobs by both.
        (
            "job.enclave",
            schema(&["a"]),
            Some(schema(&["a", "b?"])),
            &["job.enclave: what was released does not take"],
        ),
        (
            "job.enclave",
            schema(&["a", "b?"]),
            Some(schema(&["a"])),
            &["job.enclave: this build does not take"],
        ),
    ] {
        let found = breaches(message, old, new);
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected), "{found}");
        }
    }
}

#[test]
fn what_a_tenant_chooses_breaks_nobody_and_its_neighbours_do() {
    let nested = |members: &[&str]| json!({ "type": "object", "additionalProperties": false, "properties": { "task": schema(members) } });
    for (message, added, expected) in [
        ("job.enclave", "approvals?", 0),
        ("job.enclave", "approvers?", 1),
        ("job.submit-transaction", "approvals?", 1),
    ] {
        let found = breaches(message, nested(&["a"]), Some(nested(&["a", added])));
        assert_eq!(found.len(), expected, "{message}, {added}: {found:?}");
    }
    // It stays a choice: a member that must be there is none.
    let required = breaches("job.enclave", nested(&["a"]), Some(nested(&["a", "approvals"])));
    assert_eq!(required.len(), 1, "{required:?}");
}

#[test]
fn a_released_version_of_an_event_stays_as_it_is() {
    for (new, expected) in [
        (event(&["a", "b?"], &["1.0.0"]), &[][..]),
        // A member more, a member less, one that is required now, one that need not be: under the same version.
        (
            event(&["a", "b?", "c?"], &["1.0.0"]),
            &["version 1.0.0 was released and is not the same: a member that may"],
        ),
        (event(&["a"], &["1.0.0"]), &["version 1.0.0 was released and is not the same"]),
        (event(&["a", "b"], &["1.0.0"]), &["version 1.0.0 was released and is not the same"]),
        (event(&["a?", "b?"], &["1.0.0"]), &["version 1.0.0 was released and is not the same"]),
        // A minor version reads the one before it.
        (event(&["a", "b?", "c?"], &["1.0.0", "1.1.0"]), &[]),
        (
            event(&["a", "b?", "c"], &["1.0.0", "1.1.0"]),
            &["minor version 1.1.0 cannot read the one before it"],
        ),
        (event(&["a"], &["1.0.0", "1.1.0"]), &["minor version 1.1.0 cannot read the one before it"]),
        // A major one is upcast to.
        (event(&["z"], &["1.0.0", "2.0.0"]), &[]),
        (event(&["z"], &["2.0.0"]), &["version 1.0.0 was released and is gone"]),
    ] {
        let found = breaches("event.wallet.key-created", event(&["a", "b?"], &["1.0.0"]), Some(new));
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "{found}");
        }
    }
    let gone = breaches("event.wallet.key-created", event(&["a"], &["1.0.0"]), None);
    assert_eq!(gone, ["event.wallet.key-created was released and is gone"]);
}

#[test]
fn the_contract_of_this_build_takes_itself() {
    let present = super::super::schemas(&super::super::messages::all());
    assert_eq!(compare(&present, &present), []);
    assert!(present.values().any(|schema| schema.get(VERSIONS).is_some()));
}

#[test]
fn a_commit_and_a_folder_can_be_compared_with() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let texts = [("result".to_owned(), "{\"type\":\"object\"}".to_owned())];
    release(&root.join("contract"), &texts).unwrap();
    let released = load(root, "contract", None).unwrap();
    assert_eq!(released, Schemas::from([("result".to_owned(), json!({ "type": "object" }))]));
    let named = root.join("contract").join(FOLDER);
    assert_eq!(load(root, "contract", named.to_str()).unwrap(), released);

    let git = |arguments: &[&str]| {
        let identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
        let status =
            std::process::Command::new("git").arg("-C").arg(root).args(identity).args(arguments).status();
        assert!(status.unwrap().success());
    };
    std::fs::rename(named.join("schemas"), root.join("contract/schemas")).unwrap();
    git(&["init", "--quiet"]);
    git(&["add", "."]);
    git(&["commit", "--quiet", "--message", "t"]);
    assert_eq!(load(root, "contract", Some("HEAD")).unwrap(), released);
    assert!(matches!(load(root, "contract", Some("no-such")), Err(Error::Revision { .. })));
    assert!(matches!(load(root, "contract", Some("--output=x")), Err(Error::Revision { .. })));
    assert!(matches!(load(root, "contract", None), Err(Error::Empty { .. })));
}
