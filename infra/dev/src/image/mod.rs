//! `cargo dev image`: the enclave's image, reproducible, with what a hypervisor will measure of it.

mod assemble;
pub(crate) mod debian;
mod kernel;
mod programs;
mod twice;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use nsl_enclave_image::{Eif, Measurements};
use nsl_local_services::{Tools, make_directory};
use nsl_schemas::authority::Build;
use nsl_schemas::bytes::Sha256;
use nsl_schemas::canonical;
use serde::Serialize;

use crate::layout::Layout;
use crate::outcome::Outcome;
use crate::progress::Progress;

pub(crate) use kernel::Kernel;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Build what `cargo dev nitro` boots: it accepts a development root and names an emulated enclave's parent
    #[arg(long)]
    development: bool,
    /// Build it a second time, from a copy of the sources in another folder, and compare the two files
    #[arg(long)]
    twice: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Where the image goes [default: below the folder of built programs]
    #[arg(long, value_name = "FILE.eif")]
    out: Option<PathBuf>,
    /// A kernel (bzImage) of your own instead of Debian's
    #[arg(long, value_name = "FILE")]
    kernel: Option<PathBuf>,
    /// A module (.ko) that your kernel needs, in the order of loading
    #[arg(long = "module", value_name = "FILE", requires = "kernel")]
    modules: Vec<PathBuf>,
}

/// The two images that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Flavour {
    /// Nothing of feature `development`.
    Distribution,
    /// For an emulated enclave.
    Development,
}

impl Flavour {
    fn file_name(self) -> &'static str {
        match self {
            Self::Distribution => "nsl-enclave.eif",
            Self::Development => "nsl-enclave-development.eif",
        }
    }
}

/// A built image.
pub(crate) struct Image {
    pub(crate) bytes: Vec<u8>,
    pub(crate) measurements: Measurements,
    version: String,
}

impl Image {
    fn of(eif: &Eif) -> anyhow::Result<Self> {
        let bytes = eif.to_bytes()?;
        // Read again, so that what is measured is what is in the file.
        let written = Eif::parse(&bytes).context("image cannot be read again")?;
        Ok(Self { bytes, measurements: written.measurements(), version: eif.metadata.image_version.clone() })
    }

    /// The build that a genesis manifest allows.
    pub(crate) fn build(&self) -> Build {
        self.measurements.build(&self.version)
    }
}

pub(crate) fn run(layout: &Layout, arguments: &Arguments) -> anyhow::Result<Outcome> {
    let flavour = if arguments.development { Flavour::Development } else { Flavour::Distribution };
    let kernel = match &arguments.kernel {
        Some(file) => Kernel::given(file, &arguments.modules)?,
        None => Kernel::pinned(&Tools::from_environment()?, &Progress::start())?,
    };
    let made = assemble::source_time(layout.root())?;
    let image = build_at(layout, flavour, &kernel, made)?;
    let path = arguments.out.clone().unwrap_or_else(|| folder(layout).join(flavour.file_name()));
    write(&path, &image.bytes)?;
    let repeated = arguments.twice.then(|| twice::build(layout, flavour, &kernel, made)).transpose()?;
    let is_reproduced = repeated.as_ref().map(|repeated| repeated.bytes == image.bytes);
    report(&path, flavour, &image, is_reproduced, arguments.json);
    if let (Some(false), Some(repeated)) = (is_reproduced, repeated) {
        let other = path.with_extension("second.eif");
        write(&other, &repeated.bytes)?;
        bail!("the second build gave another file, {}", other.display());
    }
    Ok(Outcome::Done)
}

/// Builds the image from the workspace; cargo shows its own progress.
pub(crate) fn build(layout: &Layout, flavour: Flavour, kernel: &Kernel) -> anyhow::Result<Image> {
    build_at(layout, flavour, kernel, assemble::source_time(layout.root())?)
}

fn build_at(layout: &Layout, flavour: Flavour, kernel: &Kernel, made: Timestamp) -> anyhow::Result<Image> {
    let programs = programs::build(layout.root(), &folder(layout).join("target"), flavour)?;
    Image::of(&assemble::assemble(made, flavour, kernel, programs)?)
}

/// Where images and what they are built from go.
fn folder(layout: &Layout) -> PathBuf {
    programs::cargo_target(layout.root()).join("enclave")
}

pub(crate) fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        make_directory(folder, 0o755)?;
    }
    std::fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

/// What a script reads.
#[derive(Serialize)]
struct Report<'a> {
    image: String,
    flavour: Flavour,
    bytes: usize,
    sha256: Sha256,
    /// As a genesis manifest allows it.
    build: &'a Build,
    /// Whether the second build gave the same file; null when there was none.
    is_reproduced: Option<bool>,
}

fn report(path: &Path, flavour: Flavour, image: &Image, is_reproduced: Option<bool>, json: bool) {
    let build = image.build();
    let report = Report {
        image: path.display().to_string(),
        flavour,
        bytes: image.bytes.len(),
        sha256: Sha256::of(&image.bytes),
        build: &build,
        is_reproduced,
    };
    if json {
        println!("{}", canonical::to_string(&report));
        return;
    }
    println!("{} ({} bytes)", report.image, report.bytes);
    println!("SHA-256 {}", report.sha256);
    println!("PCR0    {}\nPCR1    {}\nPCR2    {}", build.pcr0, build.pcr1, build.pcr2);
    match is_reproduced {
        Some(true) => println!("the second build, in another folder, gave the same file byte for byte"),
        Some(false) => println!("the second build, in another folder, gave another file"),
        None => {}
    }
}
