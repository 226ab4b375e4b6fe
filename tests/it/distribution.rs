//! A distribution's worker has no software security module, not even its words (D13), and no program has failpoints
//! that was not built for tests of them.

use std::path::PathBuf;
use std::process::Command;

/// In the certificate of every development root, so in every build that can make or obey one.
const MARKER: &[u8] = b"Neo Service Layer development root";
/// What starts the software security module.
const FLAG: &str = "--development-nsm-root";

/// Where a test arms a failpoint.
const FAILPOINTS: &[u8] = b"/failpoints/{name}";

fn contains(program: &PathBuf, marker: &[u8]) -> bool {
    std::fs::read(program).unwrap().windows(marker.len()).any(|window| window == marker)
}

#[test]
fn a_distribution_worker_has_nothing_of_the_software_security_module() {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let (Some(distribution), Some(services)) =
        (variable("NSL_TEST_DISTRIBUTION_WORKER"), variable("NSL_TEST_BINARIES_DIR"))
    else {
        eprintln!("SKIPPED: NSL_TEST_DISTRIBUTION_WORKER names no worker; run `cargo dev test`");
        return;
    };
    let development = services.join("nsl-enclave-worker");
    for (program, has_it) in [(&development, true), (&distribution, false)] {
        let output = Command::new(program).args([FLAG, "/nowhere", "--help"]).output().unwrap();
        let told = crate::system::text(&output);
        assert_eq!(output.status.success(), has_it, "{FLAG}: {told}");
        assert_eq!(told.contains("unexpected argument"), !has_it, "{FLAG}: {told}");
        for word in [MARKER, FLAG.trim_start_matches("--").as_bytes()] {
            assert_eq!(contains(program, word), has_it, "{}", String::from_utf8_lossy(word));
        }
    }
}

#[test]
fn only_programs_built_for_it_have_failpoints() {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let (Some(failpoints), Some(services), Some(distribution)) = (
        variable("NSL_TEST_FAILPOINT_BINARIES_DIR"),
        variable("NSL_TEST_BINARIES_DIR"),
        variable("NSL_TEST_DISTRIBUTION_WORKER"),
    ) else {
        eprintln!("SKIPPED: NSL_TEST_FAILPOINT_BINARIES_DIR names no programs; run `cargo dev test`");
        return;
    };
    assert!(!contains(&distribution, FAILPOINTS));
    for program in ["nsl-commands", "nsl-projections", "nsl-enclave-host", "nsl-chain-relay"] {
        assert!(contains(&failpoints.join(program), FAILPOINTS), "{program}");
        assert!(!contains(&services.join(program), FAILPOINTS), "{program}");
    }
}
