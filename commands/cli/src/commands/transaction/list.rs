//! `nsl transaction list`

use clap::Args;
use nsl_schemas::query::{PageRequest, name};

use crate::commands::page::PageOptions;
use crate::error::Error;
use crate::outcome::Outcome;
use crate::session::Invocation;

/// List transactions.
#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    page: PageOptions,
}

impl List {
    pub(crate) async fn run(self, invocation: &Invocation) -> Result<Outcome, Error> {
        let session = invocation.connect().await?;
        let question = PageRequest::from(self.page);
        let page = session.client.query(session.tenant(), name::TRANSACTIONS, &question).await?;
        Ok(Outcome::TransactionsListed(page))
    }
}
