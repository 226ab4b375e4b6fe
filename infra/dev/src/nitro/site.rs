//! The site around the enclave: as a local one, with one enclave in the place of the local workers.

use nsl_local_services::{Part, Site};
use nsl_schemas::authority::{Build, SealingProvider};

use super::enclave::Enclave;
use crate::binaries::Binaries;
use crate::ceremony::{self, DEMO_TENANT, Files, Measured};
use crate::layout::Layout;
use crate::runner_record::Line;
use crate::services::{self, COMMANDS, Kind, Service};
use crate::supervisor::part_lines;

/// What runs beside the processor: nothing of this story needs prices.
const AROUND: [&str; 3] = ["projections", "enclave-host", "chain-relay"];

/// Builds the services.
pub(super) fn build(layout: &Layout) -> anyhow::Result<Binaries> {
    Ok(Binaries::build(layout.root(), &services::built())?)
}

/// Starts Postgres, NATS, Neo and the processor under a genesis that allows this image and nothing else.
pub(super) fn start_parts(site: &mut Site, binaries: &Binaries, image: Build) -> anyhow::Result<Files> {
    site.add_tenant(DEMO_TENANT)?;
    for part in Part::ALL {
        site.start(part)?;
    }
    let worker = binaries.path("nsl-enclave-worker");
    let now_ms = nsl_client::prepared::unix_now_ms();
    let (measured, provider) = (Measured::Image(image), SealingProvider::Development);
    let files = ceremony::prepare(site, &worker, measured, provider, now_ms)?;
    services::start(site, binaries, &files, &[], |service| service.name == COMMANDS)?;
    tokio::runtime::Runtime::new()?.block_on(ceremony::register(site))?;
    Ok(files)
}

/// Starts the rest; returns where everything is.
pub(super) fn start_services(
    site: &mut Site,
    binaries: &Binaries,
    files: &Files,
    enclave: &Enclave,
) -> anyhow::Result<Vec<Line>> {
    let wanted = |service: &Service| service.kind == Kind::Service && AROUND.contains(&service.name);
    services::start(site, binaries, files, &[enclave.endpoint().to_string()], wanted)?;
    Ok(part_lines(site))
}
