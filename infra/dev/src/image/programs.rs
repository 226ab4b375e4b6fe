//! The two programs of an image: static, stripped, and the same bytes in whatever folder they are built.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use super::Flavour;

/// The target is named so that flags for the enclave do not reach build scripts, which run here.
const TARGET: &str = "x86_64-unknown-linux-gnu";
const INIT: &str = "nsl-enclave-init";
const WORKER: &str = "nsl-enclave-worker";
/// Cargo's separator of encoded flags.
const UNIT_SEPARATOR: &str = "\u{1f}";

/// The programs' bytes.
pub(super) struct Programs {
    pub(super) init: Vec<u8>,
    pub(super) worker: Vec<u8>,
}

/// Builds both from the sources at `root`, with everything that cargo makes below `target`.
pub(super) fn build(root: &Path, target: &Path, flavour: Flavour) -> anyhow::Result<Programs> {
    let target = target.join(match flavour {
        Flavour::Distribution => "distribution",
        Flavour::Development => "development",
    });
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--release", "--locked", "--target", TARGET, "--target-dir"]).arg(&target);
    for program in [INIT, WORKER] {
        cargo.args(["--package", program, "--bin", program]);
        if flavour == Flavour::Development {
            cargo.args(["--features", &format!("{program}/development")]);
        }
    }
    cargo.current_dir(root).envs(environment(root, &target)?);
    let status = cargo.status().context("cannot run cargo")?;
    ensure!(status.success(), "the enclave's programs do not build");
    let read = |program: &str| {
        let path = target.join(TARGET).join("release").join(program);
        std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    Ok(Programs { init: read(INIT)?, worker: read(WORKER)? })
}

/// What makes the programs static and keeps folders' names out of them.
fn environment(root: &Path, target: &Path) -> anyhow::Result<Vec<(&'static str, String)>> {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let cargo_home = std::env::var_os("CARGO_HOME").map_or_else(|| home.join(".cargo"), PathBuf::from);
    // The later of two that fit counts: the target folder may be below the sources.
    let folders = [(root, "/src"), (cargo_home.as_path(), "/cargo"), (target, "/target")];
    let mut rust = vec!["-Ctarget-feature=+crt-static".to_owned()];
    let mut c = Vec::new();
    for (folder, name) in folders {
        let folder = folder.to_str().context("folder whose name is not text")?;
        ensure!(
            !folder.contains([' ', '=']),
            "a folder's name with a space or \"=\" cannot be kept out: {folder}"
        );
        rust.push(format!("--remap-path-prefix={folder}={name}"));
        c.push(format!("-ffile-prefix-map={folder}={name}"));
    }
    let settings = [
        ("CARGO_ENCODED_RUSTFLAGS", rust.join(UNIT_SEPARATOR).as_str()),
        ("CFLAGS", &c.join(" ")),
        // For C compilers that are asked for the time; a changing one would make cargo build C libraries anew.
        ("SOURCE_DATE_EPOCH", "0"),
        ("CARGO_INCREMENTAL", "0"),
        ("CARGO_PROFILE_RELEASE_DEBUG", "none"),
        ("CARGO_PROFILE_RELEASE_STRIP", "symbols"),
        ("CARGO_PROFILE_RELEASE_PANIC", "abort"),
    ]
    .map(|(name, value)| (name, value.to_owned()));
    Ok(settings.into())
}

/// Where cargo puts what it builds for the workspace.
pub(super) fn cargo_target(root: &Path) -> PathBuf {
    let folder = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    root.join(folder)
}
