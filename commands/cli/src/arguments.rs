//! The command line: `nsl NOUN VERB`, with the same global options everywhere.

use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::commands::{
    authority, command, completions, context, custodian, error, events, exit_codes, key, price, request,
    secret, transaction, verify, wallet, worker,
};

/// Wallets, secrets, prices and events of the Neo Service Layer.
#[derive(Debug, Parser)]
#[command(
    name = "nsl",
    version,
    max_term_width = 110,
    after_help = "First steps: nsl key generate, nsl context add, nsl wallet create.\n\
                  Exit codes: nsl help exit-codes."
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options that every command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Globals {
    /// The context to use instead of the selected one.
    #[arg(long, global = true, env = "NSL_CONTEXT", value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// Short for --output json.
    #[arg(long, global = true, conflicts_with = "output")]
    pub(crate) json: bool,
    /// For people, or one JSON object a line, named by its `reason`.
    #[arg(long, global = true, value_enum, default_value_t = Format::Human)]
    pub(crate) output: Format,
    /// Only the outcome and errors.
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// More about what is being done.
    #[arg(long, short, global = true, conflicts_with = "quiet")]
    pub(crate) verbose: bool,
    /// How many seconds to wait for what follows an accepted command.
    #[arg(long, global = true, value_name = "SECONDS", default_value = "60", value_parser = parse_timeout)]
    pub(crate) timeout: Duration,
    /// Whether to colour; auto heeds NO_COLOR, CLICOLOR_FORCE and TERM.
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    pub(crate) color: Color,
}

/// How outcomes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Human,
    Json,
}

/// Whether to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Which service to talk to, and as whom.
    #[command(subcommand)]
    Context(context::Command),
    /// Command keys.
    #[command(subcommand)]
    Key(key::Command),
    /// Who may issue commands.
    #[command(subcommand)]
    Authority(authority::Command),
    /// Sealing keys that custodians can bring back.
    #[command(subcommand)]
    Custodian(custodian::Command),
    /// Accounts whose keys live in the enclave.
    #[command(subcommand)]
    Wallet(wallet::Command),
    /// What was asked to be signed.
    #[command(subcommand)]
    Request(request::Command),
    /// What was signed and sent.
    #[command(subcommand)]
    Transaction(transaction::Command),
    /// Secrets that only enclaves and their readers see.
    #[command(subcommand)]
    Secret(secret::Command),
    /// Accepted prices.
    #[command(subcommand)]
    Price(price::Command),
    /// The log, as it is published.
    #[command(subcommand)]
    Events(events::Command),
    /// Commands as raw JSON.
    #[command(subcommand)]
    Command(command::Command),
    /// Enclave workers.
    #[command(subcommand, visible_alias = "workers")]
    Worker(worker::Command),
    /// Proofs, checked offline.
    #[command(subcommand)]
    Verify(verify::Command),
    /// Explain an error code.
    Error(error::Explain),
    /// Write the completions of a shell.
    Completions(completions::Completions),
    /// Help topic: what the exit codes mean.
    #[command(name = "exit-codes", after_help = exit_codes::topic())]
    ExitCodes,
}

/// Longest wait that can be asked for: a day, as long as a command may live.
const TIMEOUT_SECONDS_MAX: u64 = 24 * 60 * 60;

fn parse_timeout(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds @ 1..=TIMEOUT_SECONDS_MAX) => Ok(Duration::from_secs(seconds)),
        _ => Err(format!("expected 1 to {TIMEOUT_SECONDS_MAX} seconds")),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn timeouts_are_bounded() {
        for (text, seconds) in [
            ("1", Some(1)),
            ("86400", Some(86_400)),
            ("0", None),
            ("86401", None),
            ("1.5", None),
            ("-1", None),
        ] {
            assert_eq!(parse_timeout(text).ok(), seconds.map(Duration::from_secs), "{text}");
        }
    }
}
