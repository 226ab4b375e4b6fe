//! Secrets on the command line, as their owners and readers use them, on a running site.

use std::path::PathBuf;
use std::process::Output;

use serde_json::Value;

use crate::system::{System, text};

/// Which exit codes are meant: see `nsl exit-codes`.
const NOT_FOUND: i32 = 5;
const REJECTED: i32 = 6;

/// One of the site's people: their seed file and public key.
struct Person {
    seed: String,
    key: String,
}

struct Story<'a> {
    system: &'a System,
}

impl Story<'_> {
    fn path(&self, name: &str) -> PathBuf {
        self.system.path().join(name)
    }

    fn secret(&self, arguments: &[&str]) -> Output {
        self.system.nsl(&[&["secret"], arguments].concat())
    }

    /// What a verb that must succeed ended with.
    fn done(&self, arguments: &[&str]) -> Value {
        let output = self.secret(&[arguments, &["--json"]].concat());
        assert!(output.status.success(), "{arguments:?}: {}", text(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The code with which a verb must fail.
    fn refused(&self, arguments: &[&str], exit_code: i32) -> String {
        let output = self.secret(&[arguments, &["--json"]].concat());
        assert_eq!(output.status.code(), Some(exit_code), "{arguments:?}: {}", text(&output));
        let line: Value = serde_json::from_slice(&output.stdout).unwrap();
        line["code"].as_str().unwrap().to_owned()
    }

    fn file(&self, name: &str, content: &[u8]) -> String {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    }

    fn person(&self, name: &str) -> Person {
        let seed = self.path(name).display().to_string();
        let made = self.system.nsl(&["key", "generate", "--out", &seed, "--json"]);
        let made: Value = serde_json::from_slice(&made.stdout).unwrap();
        Person { seed, key: made["public_key"].as_str().unwrap().to_owned() }
    }

    /// Reads to standard output.
    fn read(&self, secret: &str, readers: &[&Person]) -> Output {
        let mut arguments = vec!["get", secret];
        for reader in readers {
            arguments.extend(["--reader-seed", &reader.seed]);
        }
        self.secret(&arguments)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_put_read_by_their_readers_alone_replaced_and_destroyed() {
    let Some(system) = System::start().await else { return };
    let story = Story { system: &system };
    let [ada, ben, eve] = ["ada", "ben", "eve"].map(|name| story.person(name));
    let first: Vec<u8> = (0..=255_u8).cycle().take(1000).collect();
    let file = story.file("first", &first);

    // One of two reads, and nobody else: neither a stranger nor the owner, whose grant lets it issue the command.
    let put = ["put", "api-key", "--file", &file, "--reader", &ada.key, "--reader", &ben.key];
    let stored = story.done(&put);
    assert_eq!((&stored["reason"], &stored["version"]), (&"secret_stored".into(), &1.into()), "{stored}");
    for reader in [&ada, &ben] {
        let output = story.read("api-key", &[reader]);
        assert!(output.status.success(), "{}", text(&output));
        assert_eq!(output.stdout, first);
    }
    let refused = ["get", "api-key", "--out", "never", "--reader-seed", &eve.seed];
    assert_eq!(story.refused(&refused, REJECTED), "secret_reading_denied");
    assert_eq!(story.refused(&["get", "api-key", "--out", "never"], REJECTED), "secret_reading_denied");
    assert_eq!(story.refused(&["get", "nothing", "--out", "never"], NOT_FOUND), "not_found");

    // The next version, under the policy that the putter says and the owners gave.
    let second = story.file("second", b"second");
    let other = ["put", "api-key", "--file", &second, "--reader", &eve.key];
    assert_eq!(story.refused(&other, REJECTED), "secret_policy_mismatch");
    let put = ["put", "api-key", "--file", &second, "--reader", &ada.key, "--reader", &ben.key];
    assert_eq!(story.done(&put)["version"], 2);
    assert_eq!(story.read("api-key", &[&ada]).stdout, b"second");

    // Other readers, both of whom must sign; the secret stays what it was.
    let readers =
        ["readers", "api-key", "--reader", &ben.key, "--reader", &eve.key, "--reader-threshold", "2"];
    let stranger = [&readers[..], &["--owner-seed", &eve.seed]].concat();
    assert_eq!(story.refused(&stranger, REJECTED), "secret_not_approved");
    assert_eq!(story.done(&readers)["version"], 3);
    assert!(!story.read("api-key", &[&ada]).status.success());
    assert!(!story.read("api-key", &[&ben]).status.success());
    assert_eq!(story.read("api-key", &[&ben, &eve]).stdout, b"second");
    let out = story.path("read").display().to_string();
    let read = ["get", "api-key", "--out", &out, "--reader-seed", &ben.seed, "--reader-seed", &eve.seed];
    assert_eq!(story.done(&read)["bytes"], 6);
    assert_eq!(std::fs::read(&out).unwrap(), b"second");
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let listed = story.done(&["list"]);
    let row = &listed["data"][0];
    assert_eq!((&row["id"], &row["version"], &row["readings"]), (&"api-key".into(), &3.into(), &5.into()));

    // Its end.
    assert_eq!(story.refused(&["rm", "api-key", "--owner-seed", &eve.seed], REJECTED), "secret_not_approved");
    assert_eq!(story.done(&["rm", "api-key"])["reason"], "secret_destroyed");
    assert_eq!(story.refused(&read_into(&read, "never"), REJECTED), "secret_destroyed");
    assert_eq!(story.refused(&put, REJECTED), "secret_destroyed");
    assert_eq!(story.done(&["show", "api-key"])["status"], "destroyed");
    system.check_read_models();
}

/// The same reading into another file.
fn read_into<'a>(read: &[&'a str], file: &'a str) -> Vec<&'a str> {
    let mut read = read.to_vec();
    read[3] = file;
    read
}
