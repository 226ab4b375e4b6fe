//! `nsl-enclave-worker`: starts a worker and serves it on one endpoint until SIGTERM or SIGINT.

mod args;

use std::sync::Arc;

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser as _};
use nsl_enclave_protocol::{Listener, ServerLimits, serve};
use nsl_enclave_worker::nsm::Nsm;
use nsl_enclave_worker::sealing_provider::{self, Sources};
use nsl_enclave_worker::{Genesis, Worker, hardening, nsm};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use args::{Cli, Command, ServeArgs};

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    match (cli.command, cli.serve) {
        (Some(command), _) => run(&command),
        (None, Some(args)) => start(args),
        // clap has asked for both already; it cannot tell the type so.
        (None, None) => Cli::command()
            .error(clap::error::ErrorKind::MissingRequiredArgument, "--listen and --genesis are required")
            .exit(),
    }
}

#[cfg(feature = "development")]
#[expect(clippy::print_stdout, reason = "what is printed is these subcommands' output")]
fn run(command: &Command) -> anyhow::Result<()> {
    match command {
        Command::Measure => {
            let build = nsl_enclave_worker::measure::own_build()?;
            println!("{}", nsl_schemas::canonical::to_string(&build));
        }
        Command::DevelopmentRoot { out } => {
            let root = nsm::software::DevelopmentRoot::generate(nsm::software::system_time_ms())?;
            root.write(out)?;
            println!("{}", nsl_schemas::bytes::Sha256(root.sha256()));
        }
    }
    Ok(())
}

#[cfg(not(feature = "development"))]
fn run(command: &Command) -> anyhow::Result<()> {
    match *command {}
}

fn start(args: ServeArgs) -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_max_level(args.log_level).with_writer(std::io::stderr).init();
    hardening::harden()?;
    // For the channel alone; jobs run on the server's threads.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run_worker(args))
}

async fn run_worker(args: ServeArgs) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let genesis = Genesis::read(&args.genesis)?;
    let provided = sealing_provider::obtain(&genesis, &sources(&args))?;
    let worker = Arc::new(Worker::start(genesis, open_nsm(&args)?, provided).await?);
    let listener = Listener::bind(&args.listen).await?;
    tracing::info!(listen = %args.listen, description = ?worker.describe(), "worker ready");
    let answer = move |request: Vec<u8>| {
        let worker = Arc::clone(&worker);
        async move { worker.answer(&request).await }
    };
    let input_ended = end_of_input(args.until_input_ends);
    let shutdown = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            Ok(()) = input_ended => {}
        }
    };
    let mut limits = ServerLimits::default();
    if let Some(threads) = args.threads {
        limits.threads = threads;
    }
    serve(listener, answer, limits, shutdown).await.context("serving ended")?;
    tracing::info!("stopped");
    Ok(())
}

/// Told when nobody can write to standard input any more, where that is asked for. Its thread does not hold the process.
fn end_of_input(is_asked: bool) -> oneshot::Receiver<()> {
    let (ended, end) = oneshot::channel();
    if is_asked {
        std::thread::spawn(move || {
            // An input that cannot be read has ended.
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            let _ = ended.send(());
        });
    }
    end
}

fn sources(args: &ServeArgs) -> Sources {
    Sources {
        kms_relay: args.kms_relay.clone(),
        #[cfg(feature = "development")]
        development_key_file: args.development_sealing_key.clone(),
    }
}

#[cfg(feature = "development")]
fn open_nsm(args: &ServeArgs) -> anyhow::Result<Box<dyn Nsm>> {
    use nsl_enclave_worker::measure;
    use nsl_enclave_worker::nsm::software::{Attester, DevelopmentRoot, SoftwareNsm};

    if let Some(path) = &args.development_attester_root {
        let device = Box::new(nsm::Device::open()?);
        return Ok(Box::new(Attester::start(DevelopmentRoot::read(path)?, device)?));
    }
    let Some(path) = &args.development_nsm_root else {
        return open_device();
    };
    let root = DevelopmentRoot::read(path)?;
    let build = measure::own_build()?;
    let measurements = build.measurements();
    Ok(Box::new(SoftwareNsm::boot(root, measurements, Box::new(nsm::software::system_time_ms))?))
}

#[cfg(not(feature = "development"))]
fn open_nsm(_args: &ServeArgs) -> anyhow::Result<Box<dyn Nsm>> {
    open_device()
}

/// The NSM of an enclave, where the keys are real.
fn open_device() -> anyhow::Result<Box<dyn Nsm>> {
    hardening::lock_memory()?;
    Ok(Box::new(nsm::Device::open()?))
}
