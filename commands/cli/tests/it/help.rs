//! The command line is a contract: nouns, verbs and global options, by name.

use crate::home::Home;

/// Every noun with its verbs, as `--help` lists them.
const VERBS: [(&str, &[&str]); 13] = [
    ("context", &["add", "list", "select", "show", "remove"]),
    ("key", &["generate"]),
    (
        "authority",
        &[
            "genesis-show",
            "show",
            "attest",
            "register-root",
            "grant",
            "revoke",
            "allow-build",
            "revoke-build",
            "revoke-worker",
            "replace-quorum",
            "establish-pool",
            "sign",
            "submit",
        ],
    ),
    ("custodian", &["keygen", "found", "provision", "reseal", "status"]),
    ("wallet", &["create", "list", "show", "set-policy", "transfer", "balances", "verify"]),
    ("request", &["list", "show", "approve", "cancel"]),
    ("transaction", &["list"]),
    ("secret", &["put", "get", "list", "show", "readers", "rm"]),
    ("price", &["get", "list", "watch"]),
    ("events", &["tail", "replay"]),
    ("command", &["send", "result"]),
    ("worker", &["list"]),
    ("verify", &["attestation"]),
];

/// The names in the section `Commands:` of a help text.
fn listed(help: &str) -> Vec<String> {
    let section = help.split("Commands:\n").nth(1).unwrap();
    let lines = section.lines().take_while(|line| !line.is_empty());
    let names = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
}

#[test]
fn help_lists_exactly_the_documented_commands() {
    let home = Home::new();
    let mut expected: Vec<&str> = VERBS.iter().map(|(noun, _)| *noun).collect();
    expected.extend(["error", "completions", "exit-codes", "help"]);
    assert_eq!(listed(&home.nsl(&["--help"]).stdout), expected);
    for (noun, verbs) in VERBS {
        let mut expected = verbs.to_vec();
        expected.push("help");
        assert_eq!(listed(&home.nsl(&[noun, "--help"]).stdout), expected, "{noun}");
    }
}

#[test]
fn every_verb_takes_the_global_options() {
    let home = Home::new();
    for (noun, verbs) in VERBS {
        for verb in verbs {
            let help = home.nsl(&[noun, verb, "--help"]).stdout;
            for option in ["--context", "--json", "--output", "--quiet", "--verbose", "--timeout", "--color"]
            {
                assert!(help.contains(option), "{noun} {verb} {option}");
            }
        }
    }
}

#[test]
fn the_exit_codes_are_a_help_topic() {
    let home = Home::new();
    let topic = home.nsl(&["help", "exit-codes"]).stdout;
    let shown = home.nsl(&["exit-codes"]).stdout;
    for (code, meaning) in nsl_cli::ExitCode::MEANINGS {
        let number = code.number().to_string();
        for text in [&topic, &shown] {
            assert!(text.lines().any(|line| line.contains(&number) && line.contains(meaning)), "{text}");
        }
    }
}

#[test]
fn completions_are_written_for_every_shell() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let run = home.nsl(&["completions", shell]);
        assert!(run.code == 0 && run.stdout.contains("nsl"), "{shell}");
    }
}
