//! The command-line flags that every service shares.

use std::path::PathBuf;

/// Flags that choose and show the configuration; flatten into a service's clap struct.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ConfigArgs {
    /// TOML file laid over the built-in defaults
    #[arg(long, value_name = "PATH")]
    pub config: Option<PathBuf>,
    /// Set one key, over file and environment; may be repeated
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    pub set: Vec<String>,
    /// Print the effective configuration with the origin of each key, secrets hidden, and exit
    #[arg(long)]
    pub print_config: bool,
}
