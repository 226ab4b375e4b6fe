//! `nsl price get`

use clap::Args;
use nsl_schemas::query::{ById, name};
use nsl_schemas::token::Pair;

use crate::error::Error;
use crate::outcome::Outcome;
use crate::session::Invocation;

/// Show the latest price of a pair.
#[derive(Debug, Args)]
pub(crate) struct Get {
    /// The pair, as NEO-USD.
    pair: Pair,
}

impl Get {
    pub(crate) async fn run(self, invocation: &Invocation) -> Result<Outcome, Error> {
        let session = invocation.connect().await?;
        let question = ById { id: self.pair.to_string(), at_position: None };
        Ok(Outcome::PriceShown(session.client.query(session.tenant(), name::PRICE, &question).await?))
    }
}
