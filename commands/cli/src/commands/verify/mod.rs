//! `nsl verify …`: what can be checked offline, without a context and without trust in the service.

mod attestation;
mod document;

use clap::Subcommand;

use crate::error::Error;
use crate::outcome::Outcome;
use crate::session::Invocation;

/// Check proofs offline.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check an AWS Nitro attestation document and report on each check.
    Attestation(attestation::Attestation),
}

impl Command {
    pub(crate) async fn run(self, invocation: &Invocation) -> Result<Outcome, Error> {
        match self {
            Self::Attestation(verb) => verb.run(invocation).await,
        }
    }
}
