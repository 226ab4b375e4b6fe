//! What works, and what fails how, without a service.

use crate::home::Home;

#[test]
fn contexts_are_added_selected_shown_and_removed() {
    let home = Home::new();
    home.add_context("nats://127.0.0.1:1", "acme");
    let add = ["context", "add", "other", "--url", "nats://127.0.0.1:2", "--tenant", "other", "--json"];
    let added = home.nsl(&add).json();
    assert_eq!((&added["reason"], &added["is_selected"]), (&"context_added".into(), &false.into()));
    assert_eq!(home.nsl(&add).json()["code"], "context_exists");
    assert_eq!(home.nsl(&["context", "select", "other"]).code, 0);
    assert_eq!(home.nsl(&["context", "select", "-", "--json"]).json()["name"], "test");
    assert_eq!(home.nsl(&["context", "show", "--context", "other", "--json"]).json()["name"], "other");
    let list = home.nsl(&["context", "list"]).stdout;
    let marked = list.lines().find(|line| line.starts_with('*')).unwrap();
    assert!(marked.contains("test") && marked.contains("acme"), "{list}");
    assert_eq!(home.nsl(&["context", "remove", "test"]).code, 0);
    assert_eq!(home.nsl(&["context", "show"]).code, 2, "nothing is selected any more");
}

#[test]
fn a_generated_seed_is_private_and_never_shown() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = Home::new();
    let run = home.nsl(&["key", "generate", "--json"]);
    let seed_file = run.json()["seed_file"].as_str().unwrap().to_owned();
    let seed = std::fs::read_to_string(&seed_file).unwrap();
    assert!(seed.starts_with("SU") && !run.stdout.contains(seed.trim()));
    assert_eq!(std::fs::metadata(&seed_file).unwrap().permissions().mode() & 0o777, 0o600);
    let key = nsl_schemas::nkey::SigningKey::parse_seed(&seed).unwrap();
    assert_eq!(run.json()["public_key"], key.public().to_string());
    assert_eq!(home.nsl(&["key", "generate", "--out", &seed_file]).code, 1, "no seed is overwritten");
}

#[test]
fn errors_have_a_code_an_exit_code_and_a_page() {
    let home = Home::new();
    home.add_context("nats://127.0.0.1:1", "acme");
    let policy = home.path("policy.json");
    std::fs::write(&policy, "{}").unwrap();
    let policy = policy.to_str().unwrap();
    let add = ["context", "add", "x", "--url", "u", "--tenant", "t"];
    let cases: [(Vec<&str>, &str, i32); 7] = [
        (vec!["wallet", "list"], "connection_failed", 7),
        (vec!["wallet", "list", "--context", "unknown"], "context_unknown", 5),
        (vec!["authority", "genesis-show"], "genesis_missing", 1),
        (vec!["error", "no_such_code"], "not_found", 5),
        ([&add[..], &["--issuer", policy]].concat(), "seed_invalid", 1),
        ([&add[..], &["--genesis", policy]].concat(), "genesis_invalid", 3),
        ([&add[..], &["--issuer", "/does/not/exist"]].concat(), "file_unusable", 1),
    ];
    for (arguments, code, exit_code) in cases {
        let run = home.nsl(&[&arguments[..], &["--json"]].concat());
        assert_eq!((run.json()["code"].as_str().unwrap(), run.code), (code, exit_code), "{arguments:?}");
        assert_eq!(run.json()["reason"], "command_error");
        let run = home.nsl(&arguments);
        assert!(run.stdout.is_empty() && run.stderr.contains(&format!("error[{code}]: ")), "{}", run.stderr);
        assert!(run.stderr.contains(&format!("see: nsl error {code}")), "{}", run.stderr);
        let page = home.nsl(&["error", code]);
        assert!(page.code == 0 && page.stdout.starts_with(&format!("# {code}")));
    }
}

#[test]
fn what_is_not_understood_is_a_usage_error() {
    let home = Home::new();
    for arguments in [
        &["wallet"][..],
        &["wallet", "fly"],
        &["wallet", "show", "not a token"],
        &["wallet", "transfer", "main", "1", "BTC", "NX8GreRFGFK5wpGMWetpX93HmtrezGogzk"],
        &["wallet", "transfer", "main", "1", "GAS", "not-an-address"],
        &["wallet", "create", "main"],
        &["command", "send", "nsl.v1.cmd.too.short"],
        &["wallet", "list", "--limit", "101"],
        &["wallet", "list", "--timeout", "0"],
        &["context", "add", "-", "--url", "u", "--tenant", "t"],
        &["authority", "grant", "UNOKEY", "--label", "l", "--scope", "a/b/c", "--seed", "f"],
    ] {
        let run = home.nsl(arguments);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{arguments:?}: {}", run.stderr);
    }
}
