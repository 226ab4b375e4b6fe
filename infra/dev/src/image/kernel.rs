//! The kernel of an image with the modules that an enclave needs: Debian's cloud kernel, pinned, or one of your own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use nsl_local_services::Tools;

use super::debian::{self, Archived};
use crate::progress::Progress;

/// 6.12 is the first of Debian's with a driver for the Nitro security module; bookworm-backports has it.
const VERSION: &str = "6.12.95+deb12-cloud-amd64";
const PACKAGE: Archived = Archived {
    path: "pool/main/l/linux-signed-amd64/linux-image-6.12.95+deb12-cloud-amd64_6.12.95-1~bpo12+1_amd64.deb",
    sha256: "69c92f43b23821de79576fa4d7c86e2924ae2c1b247a47cc5ed9339e220fbcb7",
};
/// The modules, each after those that it needs.
const MODULES: [&str; 5] = [
    "net/vmw_vsock/vsock.ko",
    "net/vmw_vsock/vmw_vsock_virtio_transport_common.ko",
    "net/vmw_vsock/vmw_vsock_virtio_transport.ko",
    "drivers/misc/nsm.ko",
    "drivers/virtio/virtio_mmio.ko",
];

/// A kernel module.
pub(crate) struct Module {
    pub(super) name: String,
    pub(super) content: Vec<u8>,
}

/// A kernel with its modules in the order of loading.
pub(crate) struct Kernel {
    pub(super) version: String,
    pub(super) image: Vec<u8>,
    pub(super) modules: Vec<Module>,
}

impl Kernel {
    /// Debian's, fetched once.
    pub(crate) fn pinned(tools: &Tools, progress: &Progress) -> anyhow::Result<Self> {
        let package = debian::obtain(&PACKAGE, tools, progress)?;
        progress.phase("unpacking the kernel");
        let folder = tempfile::tempdir()?;
        let image = format!("boot/vmlinuz-{VERSION}");
        let modules = MODULES.map(|module| format!("lib/modules/{VERSION}/kernel/{module}.xz"));
        unpack(&package, std::iter::once(&image).chain(&modules), folder.path())?;
        let image = read(&folder.path().join(image))?;
        let modules = modules.iter().map(|module| decompressed(&folder.path().join(module)));
        let modules = modules.collect::<anyhow::Result<_>>()?;
        progress.finish();
        Ok(Self { version: VERSION.to_owned(), image, modules })
    }

    /// Somebody's own.
    pub(crate) fn given(image: &Path, modules: &[PathBuf]) -> anyhow::Result<Self> {
        let module = |path: &PathBuf| Ok(Module { name: file_name(path), content: read(path)? });
        Ok(Self {
            version: file_name(image),
            image: read(image)?,
            modules: modules.iter().map(module).collect::<anyhow::Result<_>>()?,
        })
    }
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Takes members out of a Debian package.
fn unpack<'a>(
    package: &Path,
    members: impl Iterator<Item = &'a String>,
    folder: &Path,
) -> anyhow::Result<()> {
    let mut content = Command::new("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(package)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run dpkg-deb")?;
    let archive = content.stdout.take().context("dpkg-deb has no output")?;
    let tar = Command::new("tar")
        .args(["--extract", "--directory"])
        .arg(folder)
        .args(members.map(|member| format!("./{member}")))
        .stdin(archive)
        .status()
        .context("cannot run tar")?;
    content.wait()?;
    ensure!(tar.success(), "{} does not have what an enclave needs", package.display());
    Ok(())
}

fn decompressed(path: &Path) -> anyhow::Result<Module> {
    let xz =
        Command::new("xz").args(["--decompress", "--stdout"]).arg(path).output().context("cannot run xz")?;
    ensure!(xz.status.success(), "{}: {}", path.display(), String::from_utf8_lossy(&xz.stderr));
    Ok(Module { name: file_name(&path.with_extension("")), content: xz.stdout })
}
