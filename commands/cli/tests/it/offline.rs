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
        &["authority", "grant", "UNOKEY", "--label", "l", "--scope", "a/b/c", "--root-seed", "f"],
    ] {
        let run = home.nsl(arguments);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{arguments:?}: {}", run.stderr);
    }
}

/// A document whose own root is no root of AWS', and what the report must say of it.
const DOCUMENT: &[u8] = include_bytes!("samples/private-root.cose");
const PCR0: &str =
    "a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0";
const NONCE: &str = "6368616c6c656e6765";

fn checks_that_fail(report: &serde_json::Value) -> Vec<&str> {
    let verdicts = report["verdicts"].as_array().unwrap().iter();
    verdicts.filter(|verdict| verdict["holds"] == false).map(|one| one["check"].as_str().unwrap()).collect()
}

/// The lines of a run with `--json`, each an object.
fn lines(run: &crate::home::Run) -> Vec<serde_json::Value> {
    run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn an_attestation_document_is_refused_with_a_report_that_says_why() {
    let home = Home::new();
    let file = home.path("document.hex");
    std::fs::write(&file, hex::encode(DOCUMENT)).unwrap();
    let file = file.to_str().unwrap();
    let zero = format!("8={}", "00".repeat(48));
    let asked = ["verify", "attestation", file, "--pcr", &zero, "--nonce", "00", "--at", "now"];
    let run = home.nsl(&[&asked[..], &["--json"]].concat());
    let told = lines(&run);
    assert_eq!((run.code, told.len()), (3, 2), "{}", run.stdout);
    assert_eq!((&told[0]["reason"], &told[0]["holds"]), (&"attestation_examined".into(), &false.into()));
    assert_eq!(checks_that_fail(&told[0]), ["root", "path", "pcr8", "nonce"]);
    assert_eq!(told[0]["document"]["pcrs"]["0"], PCR0);
    assert_eq!(told[0]["chain"].as_array().unwrap().len(), 3);
    assert_eq!(told[1]["code"], "document_invalid");

    let run = home.nsl(&asked);
    for line in ["✗ root ", "✓ signature ", "✗ path ", "✗ pcr8 ", "✗ nonce ", "✗ 2025-12-25T16:04:19Z to "]
    {
        assert!(run.stdout.contains(line), "{line}: {}", run.stdout);
    }
    assert!(run.code == 3 && run.stdout.contains("does NOT hold"), "{}", run.stdout);
    assert!(run.stderr.contains("error[document_invalid]"), "{}", run.stderr);
}

#[test]
fn what_is_no_attestation_document_is_refused_by_name() {
    let home = Home::new();
    let cut = hex::encode(&DOCUMENT[..100]);
    for (input, cause) in [("", "input ends"), ("neither!", "expected"), (cut.as_str(), "input ends")] {
        let run = home.nsl_reading(input, &["verify", "attestation", "-", "--json"]);
        let told = run.json();
        assert_eq!((run.code, &told["code"]), (3, &"document_invalid".into()), "{told}");
        assert!(told["message"].as_str().unwrap().contains(cause), "{told}");
    }
    let large = "00".repeat(100_000);
    assert_eq!(home.nsl_reading(&large, &["verify", "attestation", "-"]).code, 1);
    for wrong in [["--pcr", "0=00"], ["--nonce", "xyz"], ["--at", "noon"]] {
        assert_eq!(home.nsl(&[&["verify", "attestation", "-"], &wrong[..]].concat()).code, 2, "{wrong:?}");
    }
}

/// A build of the feature `development` takes a private root, and says so; any other names it and refuses it.
#[test]
fn a_private_root_counts_in_development_builds_alone() {
    let home = Home::new();
    let (file, root) = (home.path("document"), home.path("root.der"));
    std::fs::write(&file, DOCUMENT).unwrap();
    std::fs::write(&root, include_bytes!("samples/private-root.der")).unwrap();
    let (file, root, pcr0) = (file.to_str().unwrap(), root.to_str().unwrap(), format!("0={PCR0}"));
    let asked = ["verify", "attestation", file, "--root", root, "--pcr", &pcr0, "--nonce", NONCE];
    let run = home.nsl(&asked);
    if cfg!(feature = "development") {
        assert!(run.code == 0 && run.stdout.contains("PRIVATE ROOT"), "{}{}", run.stdout, run.stderr);
        let report = home.nsl(&[&asked[..], &["--json"]].concat()).json();
        assert_eq!((&report["holds"], &report["is_private_root"]), (&true.into(), &true.into()));
        let late = home.nsl(&[&asked[..], &["--at", "2025-12-25T20:00:00Z"]].concat());
        assert!(late.code == 3 && late.stdout.contains("✗ path"), "{}", late.stdout);
    } else {
        assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{}", run.stderr);
        assert!(run.stderr.contains("is not trusted"), "{}", run.stderr);
    }
}
