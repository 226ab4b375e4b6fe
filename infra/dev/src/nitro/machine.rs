//! What emulates an enclave: QEMU with its `nitro-enclave` machine and the monitor of its vsock, found among the tools or
//! built.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, ensure};
use nsl_local_services::{Tools, make_directory};

use super::qemu;
use crate::progress::Progress;

/// The newest release; one with `uds-path`, so that the host needs no vsock of its own.
const MONITOR_VERSION: &str = "0.3.0";
const MONITOR: &str = "vhost-device-vsock";

/// The programs.
pub(super) struct Machine {
    pub(super) qemu: PathBuf,
    /// Folder of the firmware.
    pub(super) firmware: PathBuf,
    pub(super) monitor: PathBuf,
}

impl Machine {
    /// Finds them among the tools, or builds what is not there.
    pub(super) fn obtain(tools: &Tools, progress: &Progress) -> anyhow::Result<Self> {
        let folder = tools.directory().join("nitro");
        make_directory(&folder, 0o755)?;
        let firmware = qemu::obtain(tools, &folder, progress)?;
        let qemu = firmware.join(qemu::PROGRAM);
        let root = folder.join(format!("{MONITOR}-{MONITOR_VERSION}"));
        let monitor = root.join("bin").join(MONITOR);
        if !monitor.exists() {
            progress.finish();
            let status = Command::new("cargo")
                .args(["install", MONITOR, "--version", MONITOR_VERSION, "--locked", "--root"])
                .arg(&root)
                .current_dir(&folder)
                .status()
                .context("cannot run cargo")?;
            ensure!(status.success(), "{MONITOR} does not build");
        }
        progress.finish();
        Ok(Self { qemu, firmware, monitor })
    }
}

/// What a person is told.
pub(super) fn describe() -> String {
    format!("QEMU {} (TCG), {MONITOR} {MONITOR_VERSION}", qemu::VERSION)
}
