//! `nsl wallet …`

mod balances;
mod create;
mod list;
mod set_policy;
mod show;
mod transfer;
mod verify;

use clap::Subcommand;
use nsl_client::wallet::BornWallet;
use nsl_neo::PublicKey;

use crate::error::Error;
use crate::outcome::{CheckedWallet, Outcome};
use crate::session::Invocation;

/// Accounts whose keys live in the enclave.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create a wallet under a first policy, and check the birth of its key.
    Create(create::Create),
    /// List the wallets.
    List(list::List),
    /// Show a wallet.
    Show(show::Show),
    /// Replace a wallet's policy, signed by the owners that the present one names.
    SetPolicy(set_policy::SetPolicy),
    /// Transfer an asset and follow it into a block.
    Transfer(transfer::Transfer),
    /// Show a wallet's balances, as the node has them.
    Balances(balances::Balances),
    /// Check a wallet's birth certificate against the genesis manifest that you trust.
    Verify(verify::Verify),
}

impl Command {
    pub(crate) async fn run(self, invocation: &Invocation) -> Result<Outcome, Error> {
        match self {
            Self::Create(verb) => verb.run(invocation).await,
            Self::List(verb) => verb.run(invocation).await,
            Self::Show(verb) => verb.run(invocation).await,
            Self::SetPolicy(verb) => verb.run(invocation).await,
            Self::Transfer(verb) => verb.run(invocation).await,
            Self::Balances(verb) => verb.run(invocation).await,
            Self::Verify(verb) => verb.run(invocation).await,
        }
    }
}

/// A born wallet with the address that follows from its attested key, whatever anybody else says.
fn with_address(born: BornWallet) -> Result<CheckedWallet, Error> {
    let BornWallet { wallet, command_id, public_key, policy_sha256, position } = born;
    let key: PublicKey =
        public_key.parse().map_err(|source| Error::AttestedKey { wallet: wallet.to_string(), source })?;
    let address = key.address().to_string();
    Ok(CheckedWallet { wallet, address, public_key, policy_sha256, command_id, position })
}
