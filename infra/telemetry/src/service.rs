//! The frame around every service: configuration, logs, admin server, signals, drain, exit code.

use std::error::Error as StdError;
use std::future::Future;
use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use nsl_config::ConfigArgs;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::admin::AdminServer;
use crate::logs::{LogFormat, init_logs};
use crate::readiness::Gate;
use crate::shutdown::{Drained, StopSignals, TaskError};
use crate::{Metrics, Readiness, Shutdown};

/// Exit code of a service that failed, or could not start.
pub const EXIT_FAILED: u8 = 1;
/// Exit code of a refused configuration; clap uses the same for refused flags.
pub const EXIT_USAGE: u8 = 2;
/// Exit code of a service that did not finish its work before the drain deadline: outcomes are unknown.
pub const EXIT_DEADLINE: u8 = 8;
/// Exit code after a second stop signal, as shells report an interrupt.
pub const EXIT_INTERRUPTED: u8 = 130;

/// Who a service is, compiled in.
#[derive(Debug, Clone, Copy)]
pub struct Identity {
    /// The name of the binary.
    pub name: &'static str,
    /// Its version, `env!("CARGO_PKG_VERSION")`.
    pub version: &'static str,
    /// Its commented `default.toml`.
    pub defaults: &'static str,
}

/// The `[telemetry]` section that every service's configuration has.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TelemetryConfig {
    /// `text` or `json`.
    pub log_format: LogFormat,
    /// Directives such as `info,nsl_bus=debug`.
    pub log_filter: String,
    /// Where `/livez`, `/readyz`, `/metrics` and `/version` are served; loopback unless a probe comes from outside.
    pub admin_address: SocketAddr,
    /// How long a stopping service may take to finish what it took.
    pub shutdown_deadline_ms: u64,
}

/// A service's configuration struct.
pub trait ServiceConfig: DeserializeOwned + Send + 'static {
    /// Its `[telemetry]` section.
    fn telemetry(&self) -> &TelemetryConfig;
}

/// What a running service is given.
#[derive(Clone)]
pub struct Context<T> {
    /// The configuration.
    pub config: T,
    /// Where its metrics are registered.
    pub metrics: Metrics,
    /// Where its readiness checks are registered.
    pub readiness: Readiness,
    /// When to stop, and where to run tasks.
    pub shutdown: Shutdown,
    startup: Gate,
}

impl<T> Context<T> {
    /// Says that startup is complete; until then `/readyz` answers 503.
    pub fn started(&self) {
        self.startup.open();
        tracing::info!("ready");
    }
}

/// Runs a service to its end and gives its exit code. `main` either waits for `context.shutdown` itself or returns
/// when it has spawned its tasks there; the process ends on SIGTERM, SIGINT, or the failure of `main` or of a task.
pub fn run<T, F, Fut, E>(identity: Identity, args: &ConfigArgs, main: F) -> ExitCode
where
    T: ServiceConfig,
    F: FnOnce(Context<T>) -> Fut,
    Fut: Future<Output = Result<(), E>> + Send + 'static,
    E: Into<TaskError> + Send + 'static,
{
    let loaded = match nsl_config::load::<T>(identity.defaults, args, std::env::vars_os()) {
        Ok(loaded) => loaded,
        Err(error) => return refuse(identity, &error, EXIT_USAGE),
    };
    if args.print_config {
        return match std::io::stdout().write_all(loaded.print().as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => refuse(identity, &error, EXIT_FAILED),
        };
    }
    let telemetry = loaded.config.telemetry();
    if let Err(error) = init_logs(telemetry.log_format, &telemetry.log_filter) {
        return refuse(identity, &error, EXIT_USAGE);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return refuse(identity, &error, EXIT_FAILED),
    };
    let code = runtime.block_on(supervise(identity, loaded.config, main)).unwrap_or_else(|error| {
        tracing::error!(error = &*error as &dyn StdError, "cannot start");
        EXIT_FAILED
    });
    // Tasks that outlived the deadline must not hold the process: their blocking threads are left behind.
    runtime.shutdown_background();
    ExitCode::from(code)
}

/// Errors before there are logs go to stderr as plain text with their causes.
fn refuse(identity: Identity, error: &dyn StdError, code: u8) -> ExitCode {
    let mut text = identity.name.to_owned();
    let mut next = Some(error);
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text.push('\n');
    // Nothing is left to tell if stderr is closed; the exit code still speaks.
    let _ = std::io::stderr().write_all(text.as_bytes());
    ExitCode::from(code)
}

async fn supervise<T, F, Fut, E>(identity: Identity, config: T, main: F) -> Result<u8, TaskError>
where
    T: ServiceConfig,
    F: FnOnce(Context<T>) -> Fut,
    Fut: Future<Output = Result<(), E>> + Send + 'static,
    E: Into<TaskError> + Send + 'static,
{
    let mut signals = StopSignals::listen()?;
    let deadline = Duration::from_millis(config.telemetry().shutdown_deadline_ms);
    let readiness = Readiness::default();
    let metrics = Metrics::new()?;
    metrics
        .gauge("build_info", "The running build; always 1.", &["name", "version"])?
        .with_label_values(&[identity.name, identity.version])
        .set(1);
    let startup = readiness.gate("startup", "starting");
    let address = config.telemetry().admin_address;
    let admin = AdminServer::bind(address, identity, readiness.clone(), metrics.clone()).await?;
    tracing::info!(
        service.name = identity.name,
        service.version = identity.version,
        admin.address = %admin.address(),
        "started"
    );
    // Probes are answered until the very end, so the admin server does not stop with the rest.
    let admin_stop = CancellationToken::new();
    let admin_task = tokio::spawn(admin.serve(admin_stop.clone()));

    let shutdown = Shutdown::default();
    let context =
        Context { config, metrics, readiness, shutdown: shutdown.clone(), startup: startup.clone() };
    shutdown.spawn("main", main(context));

    let code = wait_and_drain(&shutdown, &startup, &mut signals, deadline).await;
    admin_stop.cancel();
    admin_task.await??;
    Ok(code)
}

async fn wait_and_drain(
    shutdown: &Shutdown,
    startup: &Gate,
    signals: &mut StopSignals,
    deadline: Duration,
) -> u8 {
    tokio::select! {
        signal = signals.next() => shutdown.request(signal),
        () = shutdown.token().cancelled() => {}
    }
    startup.close("shutting down");
    let drained = tokio::select! {
        drained = shutdown.drain(deadline) => drained,
        signal = signals.next() => {
            tracing::warn!(signal, "second signal: leaving work unfinished");
            return EXIT_INTERRUPTED;
        }
    };
    match (drained, shutdown.failure()) {
        (Drained::DeadlinePassed(unfinished), _) => {
            tracing::error!(unfinished, "the shutdown deadline passed with work unfinished");
            EXIT_DEADLINE
        }
        (Drained::Complete, Some(_)) => EXIT_FAILED,
        (Drained::Complete, None) => {
            tracing::info!("stopped");
            0
        }
    }
}

#[cfg(test)]
mod tests;
