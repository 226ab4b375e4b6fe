//! The same image again: from a copy of the sources in another folder, with nothing that the first build left.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use jiff::Timestamp;

use super::kernel::Kernel;
use super::{Flavour, Image, assemble, folder, programs};
use crate::layout::Layout;

/// Builds the second image.
pub(super) fn build(
    layout: &Layout,
    flavour: Flavour,
    kernel: &Kernel,
    made: Timestamp,
) -> anyhow::Result<Image> {
    // Beside the first, where there is room for a build; its name has another length.
    let copy = tempfile::Builder::new().prefix("second-build-").tempdir_in(folder(layout))?;
    let sources = copy.path().join("sources");
    copy_sources(layout.root(), &sources)?;
    let programs = programs::build(&sources, &copy.path().join("built"), flavour)?;
    Image::of(&assemble::assemble(made, flavour, kernel, programs)?)
}

/// Copies what the repository knows, and new files that it would take.
fn copy_sources(root: &Path, to: &Path) -> anyhow::Result<()> {
    let list = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"])
        .current_dir(root)
        .output()
        .context("cannot run git")?;
    ensure!(list.status.success(), "{}", String::from_utf8_lossy(&list.stderr));
    for name in list.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let name = Path::new(OsStr::from_bytes(name));
        let (source, target) = (root.join(name), to.join(name));
        // A tracked file may be deleted and the deletion not committed.
        if source.is_file() {
            std::fs::create_dir_all(target.parent().unwrap_or(to))?;
            std::fs::copy(&source, &target).with_context(|| format!("cannot copy {}", source.display()))?;
        }
    }
    Ok(())
}
