//! `nsl request list`

use clap::Args;
use nsl_schemas::query::{Page, PageRequest, SigningRequest, name};

use crate::commands::page::PageOptions;
use crate::error::Error;
use crate::outcome::Outcome;
use crate::session::Invocation;

/// List signing requests.
#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    page: PageOptions,
    /// Of these rows, only those that wait for approvals or a worker.
    #[arg(long)]
    pending: bool,
}

impl List {
    pub(crate) async fn run(self, invocation: &Invocation) -> Result<Outcome, Error> {
        let session = invocation.connect().await?;
        let question = PageRequest::from(self.page);
        let mut page: Page<SigningRequest> =
            session.client.query(session.tenant(), name::SIGNING_REQUESTS, &question).await?;
        if self.pending {
            page.data.retain(|request| matches!(request.status.as_str(), "awaiting-approvals" | "requested"));
        }
        Ok(Outcome::RequestsListed(page))
    }
}
