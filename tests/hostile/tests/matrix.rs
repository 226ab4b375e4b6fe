//! The matrix of attacks on real workers, and the harness tried on weak ones.
//!
//! Needs the worker's program, built with the feature `development`: from `NSL_TEST_BINARIES_DIR`, or beside this test's
//! own; says so when there is none.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use std::path::{Path, PathBuf};

use nsl_hostile::{Mode, Planted, Verdict, run};

const WORKER: &str = "nsl-enclave-worker";

fn worker() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_BIN_EXE_nsl-hostile")).parent().unwrap().to_owned();
    let folder = std::env::var_os("NSL_TEST_BINARIES_DIR").map_or(beside, PathBuf::from);
    let program = folder.join(WORKER);
    if program.exists() {
        return Some(program);
    }
    println!("SKIPPED: no {}: cargo build -p {WORKER} --features development", program.display());
    None
}

#[tokio::test]
async fn every_attack_ends_as_it_should() {
    let Some(worker) = worker() else { return };
    let matrix = run(&worker, None).await.unwrap();
    let unexpected: Vec<_> = matrix.unexpected().map(ToString::to_string).collect();
    assert!(unexpected.is_empty(), "{}", unexpected.join("\n"));
    assert_eq!(matrix.count(Verdict::Accepted, &[Mode::Withheld, Mode::Any]), 0);
    for row in matrix.rows.iter().filter(|row| row.is_accepted()) {
        assert_eq!(row.attack.expected.place, "ARCHITECTURE.md", "accepted and not said so: {row}");
    }
}

#[tokio::test]
async fn weaknesses_that_are_planted_show() {
    let Some(worker) = worker() else { return };
    for planted in Planted::ALL {
        let matrix = run(&worker, Some(planted)).await.unwrap();
        let (mut shown, mut hidden) = (0, Vec::new());
        for row in &matrix.rows {
            match row.finding.verdict {
                _ if !planted.lets_through(row) => {}
                Verdict::Accepted => shown += 1,
                _ => hidden.push(row.to_string()),
            }
        }
        assert!(shown > 0 && hidden.is_empty(), "{planted:?}: {shown} shown, hidden: {}", hidden.join("\n"));
        assert!(!matrix.holds(), "{planted:?}");
    }
}

#[test]
fn every_place_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for family in nsl_hostile::FAMILIES {
        for attack in family.attacks {
            assert!(root.join(attack.expected.place).is_file(), "{}: {}", attack.name, attack.expected.place);
        }
    }
}
