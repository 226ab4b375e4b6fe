//! `nsl-enclave-image`: measures an image; gives a booted enclave its boot files.
#![allow(clippy::print_stdout, reason = "a command-line program talks on it")]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use nsl_enclave_image::{Eif, deliver};
use nsl_enclave_init::boot::{self, Contents};
use nsl_enclave_protocol::Endpoint;
use nsl_schemas::canonical;

/// An enclave that runs answers at once; one that still boots takes seconds.
const DELIVERY_LIMIT: Duration = Duration::from_mins(1);

/// Enclave images, seen from outside of the enclave
#[derive(Debug, Parser)]
#[command(version)]
enum Cli {
    /// Print what a hypervisor will measure of an image, as a build for a genesis manifest
    Measure {
        /// The image
        #[arg(value_name = "FILE.eif")]
        image: PathBuf,
    },
    /// Give a booted enclave the files that its worker starts with
    Deliver {
        /// Where the enclave waits for them: vsock://CID:5006, or uds-vsock://PATH:5006
        #[arg(value_name = "ENDPOINT")]
        to: Endpoint,
        /// The signed genesis manifest
        #[arg(long, value_name = "FILE")]
        genesis: PathBuf,
        #[cfg(feature = "development")]
        #[command(flatten)]
        development: Development,
    },
}

/// What a development worker needs besides.
#[cfg(feature = "development")]
#[derive(Debug, clap::Args)]
struct Development {
    /// Key and certificate of the development root (PEM)
    #[arg(long, value_name = "FILE")]
    development_root: PathBuf,
    /// 32 bytes that the sealing key is derived from
    #[arg(long, value_name = "FILE")]
    development_sealing_key: PathBuf,
}

fn main() -> anyhow::Result<()> {
    match Cli::parse() {
        Cli::Measure { image } => measure(&image),
        #[cfg(feature = "development")]
        Cli::Deliver { to, genesis, development } => deliver(
            &to,
            &[
                (boot::GENESIS.name, genesis),
                (boot::DEVELOPMENT_ROOT.name, development.development_root),
                (boot::DEVELOPMENT_SEALING_KEY.name, development.development_sealing_key),
            ],
        ),
        #[cfg(not(feature = "development"))]
        Cli::Deliver { to, genesis } => deliver(&to, &[(boot::GENESIS.name, genesis)]),
    }
}

fn measure(path: &Path) -> anyhow::Result<()> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let image = Eif::read(file).with_context(|| format!("cannot read {}", path.display()))??;
    let build = image.measurements().build(&image.metadata.image_version);
    println!("{}", canonical::to_string(&build));
    Ok(())
}

fn deliver(to: &Endpoint, files: &[(&'static str, PathBuf)]) -> anyhow::Result<()> {
    let read = |(name, path): &(&'static str, PathBuf)| {
        let content = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        anyhow::Ok((*name, content))
    };
    let files = files.iter().map(read).collect::<anyhow::Result<Contents>>()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(deliver::deliver(to, &files, DELIVERY_LIMIT))?;
    println!("the enclave has its boot files");
    Ok(())
}
