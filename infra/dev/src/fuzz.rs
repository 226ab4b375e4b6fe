//! `cargo dev fuzz`: builds `nsl-fuzz` with coverage counters, on the toolchain that the workspace has, and lets libFuzzer
//! search. No address sanitizer (it needs a nightly toolchain): our code is safe Rust, whose faults are panics, time and
//! memory, and libFuzzer sees all three.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::binaries;
use crate::interrupt;
use crate::layout::Layout;
use crate::outcome::Outcome;

/// The package and its program.
const PROGRAM: &str = "nsl-fuzz";
/// Where libFuzzer's program reads its target.
const TARGET_VARIABLE: &str = "NSL_FUZZ_TARGET";
/// The folder into which it writes its samples before it starts.
const SAMPLES_VARIABLE: &str = "NSL_FUZZ_SAMPLES";
/// What `cargo fuzz` gives the compiler, without its sanitizers.
const COVERAGE_FLAGS: [&str; 5] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Ccodegen-units=1",
];
/// Memory of the process, and of one allocation: a decoder that believes a length passes neither.
const MEMORY_MIB_MAX: u32 = 512;
const ALLOCATION_MIB_MAX: u32 = 64;
/// Slowest input: real ones take microseconds.
const INPUT_SECONDS_MAX: u32 = 5;
/// Largest input, above the largest document and frame header; larger ones only slow the search.
const INPUT_BYTES_MAX: u32 = 32 * 1024;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Which decoder; without it, each in turn
    target: Option<String>,
    /// How long to search for each
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Only name the targets
    #[arg(long)]
    list: bool,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the program does not build; it needs a C++ compiler (on Debian: apt-get install g++)")]
    Build(#[source] binaries::Error),
    #[error("cannot run nsl-fuzz")]
    Run(#[source] std::io::Error),
    #[error("there is no target {name:?}; there are {known}")]
    UnknownTarget { name: String, known: String },
    #[error("cannot make the folder {}", path.display())]
    Folder {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

pub(crate) fn run(layout: &Layout, arguments: &Arguments) -> Result<Outcome, Error> {
    let program = build(layout.root())?;
    let targets = targets(&program)?;
    if arguments.list {
        println!("{}", targets.join("\n"));
        return Ok(Outcome::Done);
    }
    let known = targets.join(", ");
    let chosen = match &arguments.target {
        None => targets,
        Some(name) if targets.contains(name) => vec![name.clone()],
        Some(name) => return Err(Error::UnknownTarget { name: name.clone(), known }),
    };
    for target in chosen {
        println!("{target}: {} s", arguments.seconds);
        if !search(layout.root(), &program, &target, arguments.seconds)? {
            return Ok(if interrupt::was_requested() { Outcome::Interrupted } else { Outcome::Failed });
        }
    }
    Ok(Outcome::Done)
}

/// Into a target folder of its own: other flags would compile everything else anew.
fn build(root: &Path) -> Result<PathBuf, Error> {
    // Named, so that cargo keeps the flags from build scripts and macros, which run in the compiler.
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let mut cargo = Command::new("cargo");
    cargo
        .args(["build", binaries::MESSAGES, "--release", "--package", PROGRAM, "--features", "libfuzzer"])
        .args(["--target", &platform, "--target-dir"])
        .arg(root.join(".nsl/fuzz/target"))
        // Overflows and failed assertions of ours are findings too.
        .envs([
            ("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", "true"),
            ("CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS", "true"),
        ])
        .env("CARGO_ENCODED_RUSTFLAGS", COVERAGE_FLAGS.join("\x1f"))
        .current_dir(root);
    let mut paths = binaries::programs(&mut cargo).map_err(Error::Build)?;
    paths.remove(PROGRAM).ok_or(Error::Build(binaries::Error::NotBuilt { binary: PROGRAM }))
}

/// The program knows its targets, and names them when it is asked for none.
fn targets(program: &Path) -> Result<Vec<String>, Error> {
    let told = Command::new(program).env_remove(TARGET_VARIABLE).output().map_err(Error::Run)?;
    Ok(String::from_utf8_lossy(&told.stdout).lines().map(str::to_owned).collect())
}

/// Whether the search ended without a finding; what it learned stays in `.nsl/fuzz` for the next one.
fn search(root: &Path, program: &Path, target: &str, seconds: u32) -> Result<bool, Error> {
    let folder = root.join(".nsl/fuzz").join(target);
    let corpus = folder.join("corpus");
    std::fs::create_dir_all(&corpus).map_err(|source| Error::Folder { path: corpus.clone(), source })?;
    let status = Command::new(program)
        .env(TARGET_VARIABLE, target)
        .env(SAMPLES_VARIABLE, &corpus)
        .args([
            format!("-max_total_time={seconds}"),
            format!("-rss_limit_mb={MEMORY_MIB_MAX}"),
            format!("-malloc_limit_mb={ALLOCATION_MIB_MAX}"),
            format!("-timeout={INPUT_SECONDS_MAX}"),
            format!("-max_len={INPUT_BYTES_MAX}"),
            format!("-artifact_prefix={}/", folder.display()),
            "-print_final_stats=1".to_owned(),
        ])
        .arg(&corpus)
        .status();
    Ok(status.map_err(Error::Run)?.success())
}
