//! What every service process has in common: logs, metrics, health and admin endpoints, shutdown, exit codes.
//!
//! A service's `main` parses its flags and calls [`service::run`]; nothing here knows what a service does.

pub mod admin;
pub mod failpoint;
pub mod logs;
pub mod metrics;
pub mod readiness;
pub mod service;
pub mod shutdown;

/// Services allocate a lot of short-lived text, which the C library's allocator took a third of a processor's time for.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub use failpoint::Failpoint;
pub use metrics::Metrics;
pub use readiness::Readiness;
pub use service::{Context, Identity, ServiceConfig, TelemetryConfig};
pub use shutdown::Shutdown;
