//! `cargo dev nitro`: the development image, booted in QEMU's emulated Nitro enclave, on a site of its own: real
//! AF_VSOCK in the guest, the measurements of its real device, and a transaction that the chain accepts.

mod enclave;
mod machine;
mod qemu;
mod site;

use nsl_local_services::{Site, Tools};

use crate::demo;
use crate::image::{self, Flavour, Kernel};
use crate::interrupt;
use crate::layout::Layout;
use crate::outcome::Outcome;
use crate::progress::Progress;
use crate::report::Report;

use self::enclave::Enclave;
use self::machine::Machine;

/// The site's folder, beside the one of `cargo dev up`.
const SITE_FOLDER: &str = ".nsl/nitro";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Keep the enclave and its site running after the story, until Ctrl-C
    #[arg(long)]
    keep: bool,
}

pub(crate) fn run(layout: &Layout, arguments: &Arguments) -> anyhow::Result<Outcome> {
    let tools = Tools::from_environment()?;
    let machine = Machine::obtain(&tools, &Progress::start())?;
    let kernel = Kernel::pinned(&tools, &Progress::start())?;
    let image = image::build(layout, Flavour::Development, &kernel)?;
    let binaries = site::build(layout)?;
    let progress = Progress::start();
    let layout = layout.with_site(layout.root().join(SITE_FOLDER));
    // Another image is another genesis, so the site begins anew each time.
    Site::remove(layout.site().path())?;
    let mut site = Site::open_with(layout.site().path(), tools, progress.hooks())?;
    let told = site::start_parts(&mut site, &binaries, image.build()).and_then(|files| {
        progress.finish();
        let mut report = Report::default();
        let enclave = Enclave::boot(&mut site, &machine, &image, &files, &mut report)?;
        report.step("Start host and services around it; the host admits the enclave by its attestation");
        let lines = site::start_services(&mut site, &binaries, &files, &enclave)?;
        report.fact("worker of the host", enclave.endpoint());
        demo::sign_in(&layout, &lines, &mut report)?;
        report.finish();
        println!("\nThe emulated enclave signed it, and the chain has it.");
        println!("The enclave's console: {}", enclave::console(&site).display());
        if arguments.keep {
            println!("Ctrl-C stops everything.");
            interrupt::wait();
        }
        Ok(())
    });
    progress.finish();
    let stopped = site.stop();
    told?;
    stopped?;
    Ok(Outcome::Done)
}
