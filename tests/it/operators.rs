//! Operators at work, on the command line as they use it: keys kept apart, a handover to two of three, a build that is
//! revoked and allowed again.

use std::path::{Path, PathBuf};
use std::process::Output;

use nsl_local_services::NETWORK_MAGIC;
use serde_json::Value;

use crate::patience::until;
use crate::system::{System, text};

/// Statement refused: see `nsl exit-codes`.
const REJECTED: i32 = 6;
/// Not known yet what became of it.
const OUTCOME_UNKNOWN: i32 = 8;

struct Operators<'a> {
    system: &'a System,
    folder: PathBuf,
}

impl Operators<'_> {
    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    fn nsl(&self, arguments: &[&str]) -> Output {
        let global = ["--context", "operator", "--json", "authority"];
        self.system.nsl(&[&global[..], arguments].concat())
    }

    /// What a verb that must succeed ended with.
    fn done(&self, arguments: &[&str]) -> Value {
        let output = self.nsl(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// A new key: its seed file and its public key.
    fn key(&self, name: &str) -> (String, String) {
        let file = self.path(name);
        let made = self.system.nsl(&["key", "generate", "--out", &file, "--json"]);
        let made: Value = serde_json::from_slice(&made.stdout).unwrap();
        (file, made["public_key"].as_str().unwrap().to_owned())
    }

    /// Signs the statement as the holder of this seed does; the signature's file.
    fn sign(&self, statement: &str, seed: &str) -> String {
        let signed = self.done(&["sign", statement, "--key", seed]);
        assert_eq!(signed["reason"], "statement_signed");
        signed["file"].as_str().unwrap().to_owned()
    }
}

fn code(output: &Output) -> String {
    let line: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(output)));
    line["code"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_hand_over_and_what_two_of_three_revoke_works_no_more() {
    let Some(system) = System::start().await else { return };
    let folder = system.path().join("operators");
    std::fs::create_dir(&folder).unwrap();
    let operators = Operators { system: &system, folder };
    let begun = operators.done(&["show"]);
    assert_eq!((&begun["epoch"], &begun["sequence"]), (&0.into(), &0.into()), "{begun}");
    let attested = system.nsl(&["authority", "attest", "--json"]);
    assert_eq!(attested.status.code(), Some(0), "{}", text(&attested));

    let seeds = hand_over(&operators, &system.path().join("keys/quorum.seed"));
    revoke_and_allow(&system, &operators, &begun["builds"][0], &seeds).await;
    let ended = operators.done(&["show"]);
    assert_eq!((&ended["epoch"], &ended["sequence"]), (&1.into(), &3.into()), "{ended}");
    assert_eq!(ended["builds"], begun["builds"]);
}

/// To two of three keys, by files that travel between their holders.
fn hand_over(operators: &Operators<'_>, former: &Path) -> [String; 3] {
    let keys = ["a.seed", "b.seed", "c.seed"].map(|name| operators.key(name));
    let [a, b, c] = &keys;
    let act = operators.path("act.json");
    let made = operators.done(&["replace-quorum", &a.1, &b.1, &c.1, "--threshold", "2", "--out", &act]);
    assert_eq!(made["reason"], "statement_written");
    let signatures = [&former.display().to_string(), &a.0, &c.0].map(|seed| operators.sign(&act, seed));
    let [by_former, by_a, by_c] = &signatures;
    let too_few = operators.nsl(&["submit", &act, by_former, by_a]);
    assert_eq!((too_few.status.code(), code(&too_few)), (Some(REJECTED), "statement_invalid".to_owned()));
    let submitted = operators.done(&["submit", &act, by_former, by_a, by_c]);
    assert_eq!(submitted["reason"], "statement_recorded");
    let again = operators.nsl(&["submit", &act, by_former, by_a, by_c]);
    assert_eq!(code(&again), "statement_invalid");
    keys.map(|(seed, _)| seed)
}

/// The only build: without it no key is made, and with it again the one that waits is.
async fn revoke_and_allow(system: &System, operators: &Operators<'_>, build: &Value, seeds: &[String; 3]) {
    let [a, b, c] = seeds;
    let name = build["name"].as_str().unwrap();
    let alone = operators.nsl(&["revoke-build", name, "--seed", b]);
    assert_eq!(code(&alone), "statement_invalid");
    operators.done(&["revoke-build", name, "--seed", b, "--seed", c]);
    until("no worker proves an allowed build", async || {
        (code(&system.nsl(&["authority", "attest", "--json"])) == "attestation_invalid").then_some(())
    })
    .await;
    let magic = NETWORK_MAGIC.to_string();
    let create = ["wallet", "create", "till", "--network-magic", &magic, "--allow", "GAS=1"];
    let waiting = system.nsl(&[&create[..], &["--timeout", "3", "--json"]].concat());
    assert_eq!(waiting.status.code(), Some(OUTCOME_UNKNOWN), "{}", text(&waiting));

    let file = operators.path("build.json");
    std::fs::write(&file, build.to_string()).unwrap();
    operators.done(&["allow-build", &file, "--seed", a, "--seed", b]);
    until("the wallet that waited is open", async || {
        let shown = system.nsl(&["wallet", "show", "till", "--json"]);
        let shown: Value = serde_json::from_slice(&shown.stdout).ok()?;
        (shown["status"] == "open").then_some(())
    })
    .await;
    let verified = system.nsl(&["wallet", "verify", "till", "--json"]);
    assert_eq!(verified.status.code(), Some(0), "{}", text(&verified));
}
