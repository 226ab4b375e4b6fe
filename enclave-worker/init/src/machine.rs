//! The machine: file systems, kernel modules, its end.

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use nix::kmod::init_module;
use nix::mount::{MsFlags, mount};
use nix::sys::reboot::{RebootMode, reboot};

/// Kernel modules of the image; their names begin with numbers in the order of loading.
const MODULES_FOLDER: &str = "/modules";

/// What is mounted, and where.
const MOUNTS: [(&str, &str); 4] =
    [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev"), ("tmpfs", "/run")];

/// Mounts what the worker and the kernel's devices need.
pub(crate) fn mount_all() -> anyhow::Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
    for (kind, target) in MOUNTS {
        mount(Some(kind), target, Some(kind), flags, None::<&str>)
            .with_context(|| format!("mount {target}"))?;
    }
    Ok(())
}

/// Loads every module of the image.
pub(crate) fn load_modules() -> anyhow::Result<()> {
    let mut paths = Vec::<PathBuf>::new();
    for entry in fs::read_dir(MODULES_FOLDER).context("folder of kernel modules")? {
        paths.push(entry.context("folder of kernel modules")?.path());
    }
    paths.sort();
    for path in paths {
        let named = || format!("kernel module {}", path.display());
        let module = fs::read(&path).with_context(named)?;
        init_module(&module, c"").with_context(named)?;
    }
    Ok(())
}

/// Ends the machine.
pub(crate) fn restart() -> anyhow::Result<()> {
    reboot(RebootMode::RB_AUTOBOOT).context("restart").map(|never| match never {})
}
