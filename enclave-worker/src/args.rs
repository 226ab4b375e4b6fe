//! The worker's flags. There is no configuration file: a real enclave has no disk but its measured image.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use nsl_enclave_protocol::Endpoint;

/// Judges jobs, keeps keys sealed, and signs.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) serve: Option<ServeArgs>,
}

/// What else the binary does.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print what this executable measures itself as, for a development genesis manifest
    #[cfg(feature = "development")]
    Measure,
    /// Make a development root of attestation and print the SHA-256 of its certificate
    #[cfg(feature = "development")]
    DevelopmentRoot {
        /// Where its key and certificate go (PEM, mode 0600); must not exist
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

/// How to serve.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Where to listen: vsock://any:PORT, or unix://PATH in development
    #[arg(long, value_name = "ENDPOINT")]
    pub(crate) listen: Endpoint,
    /// The signed genesis manifest to obey
    #[arg(long, value_name = "FILE")]
    pub(crate) genesis: PathBuf,
    /// End when standard input ends too: then whoever started this worker is gone
    #[arg(long)]
    pub(crate) until_input_ends: bool,
    /// Where the host relays to AWS KMS, for manifests that seal by it: vsock://3:PORT, or unix://PATH in development
    #[arg(long, value_name = "ENDPOINT")]
    pub(crate) kms_relay: Option<Endpoint>,
    /// Threads that do jobs, 1 to 256; by default one for each core
    #[arg(long, value_name = "COUNT")]
    pub(crate) threads: Option<usize>,
    /// Least severe level that is logged
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub(crate) log_level: tracing::level_filters::LevelFilter,
    /// Key and certificate of the development root (PEM): use the software NSM instead of /dev/nsm
    #[cfg(feature = "development")]
    #[arg(long, value_name = "FILE")]
    pub(crate) development_nsm_root: Option<PathBuf>,
    /// Key and certificate of the development root (PEM): sign with it what an emulated /dev/nsm measures
    #[cfg(feature = "development")]
    #[arg(long, value_name = "FILE", conflicts_with = "development_nsm_root")]
    pub(crate) development_attester_root: Option<PathBuf>,
    /// 32 bytes that the sealing key is derived from
    #[cfg(feature = "development")]
    #[arg(long, value_name = "FILE")]
    pub(crate) development_sealing_key: Option<PathBuf>,
}
