//! `nsl wallet show`

use clap::Args;
use nsl_schemas::token::AggregateId;

use crate::error::Error;
use crate::outcome::Outcome;
use crate::session::Invocation;

/// Show a wallet.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Its id.
    wallet: AggregateId,
}

impl Show {
    pub(crate) async fn run(self, invocation: &Invocation) -> Result<Outcome, Error> {
        let session = invocation.connect().await?;
        Ok(Outcome::WalletShown(Box::new(session.wallet(&self.wallet).await?)))
    }
}
