//! Puts an image together. The first ramdisk boots, the second has the worker, so that PCR2 is the worker's alone and
//! PCR1 is that of everything under it.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use jiff::Timestamp;
use nsl_enclave_image::{Archive, BuildMetadata, Eif, Metadata};

use super::Flavour;
use super::kernel::Kernel;
use super::programs::Programs;

/// Where sources say when they were made (reproducible-builds.org).
const SOURCE_TIME_VARIABLE: &str = "SOURCE_DATE_EPOCH";
/// Console, a restart without a keyboard controller and after a panic, the processor's randomness from the start.
const CMDLINE: &str = "console=ttyS0 reboot=k panic=1 random.trust_cpu=on rdinit=/init";
/// An emulator's clocks cannot be calibrated reliably: about one boot in three would hang.
const CMDLINE_EMULATED: &str = "tsc_early_khz=2400000 lpj=2400000 no_timer_check";
/// The kernel's console.
const CONSOLE_DEVICE: (u32, u32) = (5, 1);

/// The image with these parts.
pub(super) fn assemble(
    made: Timestamp,
    flavour: Flavour,
    kernel: &Kernel,
    programs: Programs,
) -> anyhow::Result<Eif> {
    let mut boot = Archive::default();
    for folder in ["dev", "modules", "proc", "run", "sys"] {
        boot.folder(folder)?;
    }
    let (major, minor) = CONSOLE_DEVICE;
    boot.character_device("dev/console", major, minor)?;
    boot.program("init", programs.init)?;
    for (index, module) in (1..).zip(&kernel.modules) {
        boot.file(&format!("modules/{index:02}-{}", module.name), module.content.clone())?;
    }
    let mut application = Archive::default();
    application.program("bin/nsl-enclave-worker", programs.worker)?;
    let cmdline = match flavour {
        Flavour::Distribution => CMDLINE.to_owned(),
        Flavour::Development => format!("{CMDLINE} {CMDLINE_EMULATED}"),
    };
    Ok(Eif {
        kernel: kernel.image.clone(),
        cmdline,
        ramdisks: vec![boot.to_bytes(), application.to_bytes()],
        metadata: metadata(made, flavour, kernel),
    })
}

fn metadata(made: Timestamp, flavour: Flavour, kernel: &Kernel) -> Metadata {
    let version = env!("CARGO_PKG_VERSION");
    let image_version = match flavour {
        Flavour::Distribution => version.to_owned(),
        Flavour::Development => format!("{version}-development"),
    };
    Metadata {
        image_name: "nsl-enclave-worker".into(),
        image_version,
        build_metadata: BuildMetadata {
            build_time: made.to_string(),
            build_tool: "cargo dev image".into(),
            build_tool_version: version.into(),
            operating_system: "linux".into(),
            kernel_version: kernel.version.clone(),
        },
        docker_info: serde_json::Value::Null,
        custom_metadata: serde_json::Value::Null,
    }
}

/// When the sources were made: as the variable says, else the time of the last commit.
pub(super) fn source_time(root: &Path) -> anyhow::Result<Timestamp> {
    let seconds = if let Ok(seconds) = std::env::var(SOURCE_TIME_VARIABLE) {
        seconds
    } else {
        let git = Command::new("git").args(["log", "-1", "--format=%ct"]).current_dir(root).output();
        let git = git.with_context(|| format!("cannot run git; set {SOURCE_TIME_VARIABLE}"))?;
        String::from_utf8_lossy(&git.stdout).into_owned()
    };
    let seconds = seconds.trim().parse().with_context(|| {
        format!("the time of the sources is not known: no repository, or {SOURCE_TIME_VARIABLE} is no number")
    })?;
    Ok(Timestamp::from_second(seconds)?)
}

#[cfg(test)]
mod tests {
    use super::super::kernel::Module;
    use super::*;

    fn image(flavour: Flavour, init: &[u8], module: &[u8], worker: &[u8]) -> Eif {
        let module = Module { name: "nsm.ko".into(), content: module.to_vec() };
        let kernel = Kernel { version: "6".into(), image: b"bzImage".to_vec(), modules: vec![module] };
        let programs = Programs { init: init.to_vec(), worker: worker.to_vec() };
        assemble(Timestamp::UNIX_EPOCH, flavour, &kernel, programs).unwrap()
    }

    #[test]
    fn the_same_parts_are_the_same_image() {
        let build = || image(Flavour::Distribution, b"init", b"module", b"worker").to_bytes().unwrap();
        assert_eq!(build(), build());
    }

    #[test]
    fn each_part_is_measured_where_operators_are_told() {
        let base = image(Flavour::Distribution, b"init", b"module", b"worker").measurements();
        let worker = image(Flavour::Distribution, b"init", b"module", b"other").measurements();
        assert!(worker.pcr0 != base.pcr0 && worker.pcr1 == base.pcr1 && worker.pcr2 != base.pcr2);
        for under in [
            image(Flavour::Distribution, b"other", b"module", b"worker"),
            image(Flavour::Distribution, b"init", b"other", b"worker"),
            image(Flavour::Development, b"init", b"module", b"worker"),
        ] {
            let under = under.measurements();
            assert!(under.pcr0 != base.pcr0 && under.pcr1 != base.pcr1 && under.pcr2 == base.pcr2);
        }
    }
}
