//! The program that libFuzzer drives: the target that `NSL_FUZZ_TARGET` names, beginning with samples that it writes into
//! the folder `NSL_FUZZ_SAMPLES`. Without a target it names all of them. `cargo dev fuzz` builds and runs it.

#![no_main]
#![allow(unsafe_code, reason = "libfuzzer-sys exports an entry point to C")]
#![allow(clippy::print_stdout, reason = "names its targets")]

use std::path::Path;
use std::process::exit;
use std::sync::LazyLock;

use nsl_fuzz::{TARGETS, Target, find, samples};

const TARGET_VARIABLE: &str = "NSL_FUZZ_TARGET";
const SAMPLES_VARIABLE: &str = "NSL_FUZZ_SAMPLES";

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let Ok(name) = std::env::var(TARGET_VARIABLE) else {
        for target in TARGETS {
            println!("{}", target.name);
        }
        exit(0)
    };
    find(&name).unwrap_or_else(|| panic!("{TARGET_VARIABLE} names no target: {name:?}"))
});

fn write_samples(folder: &Path) -> std::io::Result<()> {
    for (number, sample) in samples()?.into_iter().enumerate() {
        std::fs::write(folder.join(format!("sample-{number}")), sample)?;
    }
    Ok(())
}

libfuzzer_sys::fuzz_target!(
    init: {
        LazyLock::force(&TARGET);
        if let Some(folder) = std::env::var_os(SAMPLES_VARIABLE) {
            write_samples(Path::new(&folder)).expect("the folder of samples can be written");
        }
    },
    |input: &[u8]| (TARGET.run)(input)
);
