//! Files of Debian's archive, pinned by their SHA-256 and kept with the tools.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use nsl_local_services::{Tools, make_directory};
use nsl_schemas::bytes::Sha256;

use crate::progress::Progress;

/// Names a mirror of Debian's archive; without it, the one that apt uses here. An older state of the archive, such as
/// Debian's snapshots, has files that the mirrors have dropped.
const MIRROR_VARIABLE: &str = "NSL_DEBIAN_MIRROR";
/// Downloads with apt's own settings, so that its proxies and credentials count.
const APT_HELPER: &str = "/usr/lib/apt/apt-helper";

/// A file of the archive.
pub(crate) struct Archived {
    /// Its path in the archive.
    pub(crate) path: &'static str,
    pub(crate) sha256: &'static str,
}

impl Archived {
    fn file_name(&self) -> &'static str {
        self.path.rsplit('/').next().unwrap_or(self.path)
    }
}

/// The file: kept from an earlier call, else downloaded.
pub(crate) fn obtain(file: &Archived, tools: &Tools, progress: &Progress) -> anyhow::Result<PathBuf> {
    let folder = tools.directory().join("debian");
    make_directory(&folder, 0o755)?;
    let path = folder.join(file.file_name());
    if is_pinned(&path, file) {
        return Ok(path);
    }
    progress.phase(&format!("downloading {}", file.file_name()));
    let partial = tempfile::NamedTempFile::new_in(&folder)?;
    let hint = || {
        format!(
            "cannot download {}; put it into {} (SHA-256 {}), or let {MIRROR_VARIABLE} name a mirror of Debian that \
             still has {}",
            file.file_name(),
            folder.display(),
            file.sha256,
            file.path
        )
    };
    download(file, partial.path()).with_context(hint)?;
    ensure!(is_pinned(partial.path(), file), "{} is another file than the pinned one", file.path);
    partial.persist(&path)?;
    Ok(path)
}

fn is_pinned(path: &Path, file: &Archived) -> bool {
    std::fs::read(path).is_ok_and(|bytes| Sha256::of(&bytes).to_string() == file.sha256)
}

fn download(file: &Archived, to: &Path) -> anyhow::Result<()> {
    let address = format!("{}/{}", mirror()?.trim_end_matches('/'), file.path);
    let mut helper = Command::new(APT_HELPER);
    helper.arg("download-file").arg(address).arg(to).arg(format!("SHA256:{}", file.sha256));
    let output = helper.output().with_context(|| format!("cannot run {APT_HELPER}"))?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim_end());
    Ok(())
}

fn mirror() -> anyhow::Result<String> {
    if let Ok(mirror) = std::env::var(MIRROR_VARIABLE) {
        return Ok(mirror);
    }
    let targets = Command::new("apt-get")
        .args(["indextargets", "--format", "$(LABEL) $(REPO_URI)"])
        .output()
        .context("cannot ask apt-get")?;
    let targets = String::from_utf8_lossy(&targets.stdout).into_owned();
    match targets.lines().find_map(|line| line.strip_prefix("Debian ")) {
        Some(mirror) => Ok(mirror.to_owned()),
        None => bail!("apt knows no mirror of Debian here"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_pinned_bytes_count() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hello");
        // SHA-256 of "hello".
        let sha256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        let file = Archived { path: "pool/main/h/hello", sha256 };
        assert_eq!(file.file_name(), "hello");
        assert!(!is_pinned(&path, &file), "not there");
        std::fs::write(&path, "hello").unwrap();
        assert!(is_pinned(&path, &file));
        std::fs::write(&path, "hello!").unwrap();
        assert!(!is_pinned(&path, &file));
    }
}
