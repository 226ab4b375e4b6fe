//! `nsl secret list`

use clap::Args;
use nsl_schemas::query::{PageRequest, name};

use crate::commands::page::PageOptions;
use crate::error::Error;
use crate::outcome::Outcome;
use crate::session::Invocation;

/// List the secrets.
#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    page: PageOptions,
}

impl List {
    pub(crate) async fn run(self, invocation: &Invocation) -> Result<Outcome, Error> {
        let session = invocation.connect().await?;
        let question = PageRequest::from(self.page);
        Ok(Outcome::SecretsListed(session.client.query(session.tenant(), name::SECRETS, &question).await?))
    }
}
