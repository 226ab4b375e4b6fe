//! `nsl wallet balances`

use clap::Args;
use nsl_schemas::query::{BalancesRequest, name};
use nsl_schemas::token::AggregateId;

use crate::error::Error;
use crate::outcome::Outcome;
use crate::session::Invocation;

/// Show a wallet's balances.
#[derive(Debug, Args)]
pub(crate) struct Balances {
    /// The wallet's id.
    wallet: AggregateId,
}

impl Balances {
    pub(crate) async fn run(self, invocation: &Invocation) -> Result<Outcome, Error> {
        let session = invocation.connect().await?;
        let wallet = session.wallet(&self.wallet).await?;
        let Some(address) = wallet.address else {
            return Err(Error::WalletNotOpen { wallet: self.wallet.to_string(), status: wallet.status });
        };
        let question = BalancesRequest { address: address.clone() };
        let balances = session.client.query(session.tenant(), name::BALANCES, &question).await?;
        Ok(Outcome::BalancesShown { wallet: self.wallet, address, balances })
    }
}
