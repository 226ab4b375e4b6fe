//! QEMU with the machine `nitro-enclave`, which Debian's packages lack: built once from Debian's own source archive, with
//! Debian's firmware beside it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};
use nsl_local_services::Tools;

use crate::image::debian::{self, Archived};
use crate::progress::Progress;

/// What is run.
pub(super) const PROGRAM: &str = "qemu-system-x86_64";
/// The oldest with the machine is 9.2.
pub(super) const VERSION: &str = "10.0.2";
const SOURCE: Archived = Archived {
    path: "pool/main/q/qemu/qemu_10.0.2+ds.orig.tar.xz",
    sha256: "0901da33844a331bf8b3602b9c1fbd178e60b737c8e3ade678255bd090c9b9f1",
};
/// The firmware that the source archive lacks: package and file.
const FIRMWARE: [(Archived, &str); 2] = [
    (
        Archived {
            path: "pool/main/s/seabios/seabios_1.16.2-1_all.deb",
            sha256: "08e5b3f761379f17a6051731cafa03e97686049e2cc1b8bdccc5a910646e2d8e",
        },
        "usr/share/seabios/bios-microvm.bin",
    ),
    (
        Archived {
            path: "pool/main/q/qemu/qemu-system-data_7.2+dfsg-7+deb12u18_all.deb",
            sha256: "8d7647370573fe9871949acf60d0c000546c2c089008a70accb3d015781e6bf1",
        },
        "usr/share/qemu/linuxboot_dma.bin",
    ),
];
/// What the build needs.
const PACKAGES: [&str; 10] = [
    "gcc",
    "libcbor-dev",
    "libfdt-dev",
    "libglib2.0-dev",
    "libgnutls28-dev",
    "libpixman-1-dev",
    "ninja-build",
    "pkg-config",
    "python3-venv",
    "xz-utils",
];
/// Build programs that Debian's own are too old for; pip checks the hashes.
const PYTHON_REQUIREMENTS: &str = "\
meson==1.5.0 --hash=sha256:52b34f4903b882df52ad0d533146d4b992c018ea77399f825579737672ae7b20
pycotap==1.3.1 --hash=sha256:1c3a25b3ff89e48f4e00f1f71dbbc1642b4f65c65d416524d07e73492fff25ea
";
/// Only what an enclave needs.
const CONFIGURE: [&str; 11] = [
    "--target-list=x86_64-softmmu",
    "--without-default-features",
    "--enable-fdt=system",
    "--enable-libcbor",
    "--enable-gnutls",
    "--enable-vhost-user",
    "--enable-tcg",
    "--enable-pixman",
    "--disable-docs",
    "--disable-tools",
    "--disable-install-blobs",
];

/// The folder with program and firmware.
pub(super) fn obtain(tools: &Tools, folder: &Path, progress: &Progress) -> anyhow::Result<PathBuf> {
    let installed = folder.join(format!("qemu-{VERSION}"));
    if has_machine(&installed.join(PROGRAM)) {
        return Ok(installed);
    }
    let source = debian::obtain(&SOURCE, tools, progress)?;
    let firmware = FIRMWARE
        .iter()
        .map(|(package, file)| Ok((debian::obtain(package, tools, progress)?, *file)))
        .collect::<anyhow::Result<Vec<_>>>()?;
    install_packages(progress)?;
    let work = folder.join("build");
    let program = build(&source, &work, progress)?;
    let ready = tempfile::tempdir_in(folder)?;
    for (package, file) in firmware {
        let unpacked = tempfile::tempdir_in(folder)?;
        succeed(Command::new("dpkg-deb").arg("--extract").arg(package).arg(unpacked.path()))?;
        let name = Path::new(file).file_name().unwrap_or_default();
        fs::copy(unpacked.path().join(file), ready.path().join(name))?;
    }
    fs::copy(program, ready.path().join(PROGRAM))?;
    ensure!(has_machine(&ready.path().join(PROGRAM)), "QEMU was built without the machine nitro-enclave");
    // Whole or not at all: an interrupted build leaves nothing that would be found.
    fs::rename(ready.keep(), &installed)?;
    fs::remove_dir_all(&work)?;
    Ok(installed)
}

fn has_machine(program: &Path) -> bool {
    let help = Command::new(program).args(["-machine", "help"]).output();
    help.is_ok_and(|help| String::from_utf8_lossy(&help.stdout).contains("nitro-enclave"))
}

fn install_packages(progress: &Progress) -> anyhow::Result<()> {
    let is_installed = |package: &&str| {
        let query =
            Command::new("dpkg-query").args(["--show", "--showformat=${db:Status-Status}", package]).output();
        query.is_ok_and(|query| query.stdout == b"installed")
    };
    let missing: Vec<&str> = PACKAGES.iter().filter(|package| !is_installed(package)).copied().collect();
    if missing.is_empty() {
        return Ok(());
    }
    let install = format!("apt-get install {}", missing.join(" "));
    if !nix::unistd::geteuid().is_root() {
        bail!("building QEMU needs packages that are missing: sudo {install}");
    }
    progress.phase(&install);
    succeed(
        Command::new("apt-get")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["install", "--yes", "--no-install-recommends"])
            .args(missing),
    )
}

/// Builds below `work`, going on where an interrupted build stopped; returns the program.
fn build(source: &Path, work: &Path, progress: &Progress) -> anyhow::Result<PathBuf> {
    let (tree, python) = (work.join(format!("qemu-{VERSION}")), work.join("python"));
    let output = tree.join("build");
    if !output.join("build.ninja").exists() {
        progress.phase("unpacking and configuring QEMU");
        if work.exists() {
            fs::remove_dir_all(work)?;
        }
        fs::create_dir(work)?;
        succeed(Command::new("tar").args(["--extract", "--file"]).arg(source).arg("--directory").arg(work))?;
        leave_out_blobs(&tree)?;
        let requirements = work.join("requirements.txt");
        fs::write(&requirements, PYTHON_REQUIREMENTS)?;
        succeed(Command::new("python3").args(["-m", "venv"]).arg(&python))?;
        let pip = python.join("bin/pip");
        succeed(
            Command::new(pip)
                .args(["install", "--quiet", "--require-hashes", "--requirement"])
                .arg(requirements),
        )?;
        fs::create_dir(&output)?;
        let interpreter = format!("--python={}", python.join("bin/python3").display());
        succeed(Command::new("../configure").arg(interpreter).args(CONFIGURE).current_dir(&output))?;
    }
    progress.phase("building QEMU: some ten minutes of two processors, once");
    succeed(Command::new("nice").args(["ninja", PROGRAM]).current_dir(&output))?;
    let program = output.join(PROGRAM);
    succeed(Command::new("strip").arg(&program))?;
    Ok(program)
}

/// Debian's archive has no firmware blobs, and the build file still unpacks them.
fn leave_out_blobs(tree: &Path) -> anyhow::Result<()> {
    let path = tree.join("pc-bios/meson.build");
    let text = fs::read_to_string(&path)?;
    let changed = text.replace("if unpack_edk2_blobs\n", "if false\n");
    ensure!(changed != text, "QEMU's build file is another one than expected");
    Ok(fs::write(path, changed)?)
}

/// Runs a step of the build; its output is shown only when it fails.
fn succeed(command: &mut Command) -> anyhow::Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {name}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    let tail = lines.get(lines.len().saturating_sub(20)..).unwrap_or_default().join("\n");
    bail!("{name} failed with {}:\n{tail}", output.status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_shows_the_end_of_its_output() {
        let error = succeed(Command::new("sh").args(["-c", "seq 30; echo why >&2; exit 3"])).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("exit status: 3") && text.ends_with("29\n30\nwhy") && !text.contains("\n10\n"),
            "{text}"
        );
        succeed(&mut Command::new("true")).unwrap();
    }

    #[test]
    fn only_the_known_build_file_is_changed() {
        let tree = tempfile::tempdir().unwrap();
        fs::create_dir(tree.path().join("pc-bios")).unwrap();
        let file = tree.path().join("pc-bios/meson.build");
        fs::write(&file, "roms = []\nif unpack_edk2_blobs\nendif\n").unwrap();
        leave_out_blobs(tree.path()).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "roms = []\nif false\nendif\n");
        assert!(leave_out_blobs(tree.path()).is_err());
    }
}
