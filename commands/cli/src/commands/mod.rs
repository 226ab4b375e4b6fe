//! One folder a noun, one file a verb; each verb's file holds its arguments and what it does.

pub(crate) mod authority;
pub(crate) mod command;
pub(crate) mod completions;
pub(crate) mod context;
pub(crate) mod custodian;
pub(crate) mod error;
pub(crate) mod events;
pub(crate) mod exit_codes;
pub(crate) mod key;
mod page;
pub(crate) mod price;
pub(crate) mod request;
pub(crate) mod secret;
pub(crate) mod transaction;
pub(crate) mod verify;
pub(crate) mod wallet;
pub(crate) mod worker;

use crate::arguments::Command;
use crate::error::Error;
use crate::outcome::Outcome;
use crate::session::Invocation;

/// Runs one command.
pub(crate) async fn run(command: Command, invocation: &Invocation) -> Result<Outcome, Error> {
    match command {
        Command::Context(command) => command.run(invocation),
        Command::Key(command) => command.run(),
        Command::Authority(command) => command.run(invocation).await,
        Command::Custodian(command) => command.run(invocation).await,
        Command::Wallet(command) => command.run(invocation).await,
        Command::Request(command) => command.run(invocation).await,
        Command::Transaction(command) => command.run(invocation).await,
        Command::Secret(command) => command.run(invocation).await,
        Command::Price(command) => command.run(invocation).await,
        Command::Events(command) => command.run(invocation).await,
        Command::Command(command) => command.run(invocation).await,
        Command::Worker(command) => command.run(invocation).await,
        Command::Verify(command) => command.run(invocation).await,
        Command::Error(command) => command.run(),
        Command::Completions(command) => Ok(command.run()),
        Command::ExitCodes => Ok(exit_codes::show()),
    }
}
