//! `nsl-enclave-init`: process 1 of an enclave. Whatever happens, the enclave ends with the worker.
#![allow(clippy::print_stderr, reason = "standard error is the enclave's console")]

mod machine;
mod parent;

use std::process::Command;

use anyhow::{Context as _, ensure};
use nsl_enclave_init::boot::{Contents, FILES, KMS_RELAY_PORT, WORKER_PORT};

/// Where the image has the worker.
const WORKER: &str = "/bin/nsl-enclave-worker";
/// Boot files are kept in memory only.
const BOOT_FOLDER: &str = "/run/nsl";

fn main() -> anyhow::Result<()> {
    // What follows mounts, loads modules and restarts the machine: nothing for a process of somebody's computer.
    ensure!(std::process::id() == 1, "nsl-enclave-init runs as the first process of an enclave only");
    match run() {
        Ok(()) => say("the worker has ended"),
        Err(error) => say(&format!("{error:#}")),
    }
    // Ends the enclave: a hypervisor does not start it again.
    machine::restart()
}

fn run() -> anyhow::Result<()> {
    machine::mount_all()?;
    machine::load_modules()?;
    // Before the heartbeat, so that a parent that hears it can deliver at once.
    let deliveries = parent::listen()?;
    if let Err(error) = parent::send_heartbeat() {
        // Only nitro-cli waits for it, and ends an enclave from which it does not come.
        say(&format!("no heartbeat: {error:#}"));
    }
    let files = parent::receive_files(&deliveries)?;
    let mut worker = Command::new(WORKER);
    worker.arg("--listen").arg(format!("vsock://any:{WORKER_PORT}")).args(store(&files)?);
    // Dialled only where the manifest seals by KMS.
    worker.arg("--kms-relay").arg(format!("vsock://{}:{KMS_RELAY_PORT}", parent::PARENT_CID));
    say("starting the worker");
    let status = worker.status().context("worker cannot be started")?;
    ensure!(status.success(), "worker ended with {status}");
    Ok(())
}

/// Writes the files where the worker reads them; returns the flags that say so.
fn store(files: &Contents) -> anyhow::Result<Vec<String>> {
    std::fs::create_dir(BOOT_FOLDER).context("folder of boot files")?;
    let mut flags = Vec::new();
    for file in FILES {
        let path = format!("{BOOT_FOLDER}/{}", file.name);
        let content = files.get(file.name).map(Vec::as_slice).unwrap_or_default();
        std::fs::write(&path, content).with_context(|| format!("boot file {}", file.name))?;
        flags.extend([file.flag.to_owned(), path]);
    }
    Ok(flags)
}

fn say(what: &str) {
    eprintln!("nsl-enclave-init: {what}");
}
