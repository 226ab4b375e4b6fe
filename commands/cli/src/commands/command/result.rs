//! `nsl command result`

use clap::Args;
use nsl_schemas::token::Tenant;
use uuid::Uuid;

use crate::error::Error;
use crate::outcome::Outcome;
use crate::session::Invocation;

/// Show the recorded result of a command.
#[derive(Debug, Args)]
pub(crate) struct ShowResult {
    /// The command's id.
    id: Uuid,
    /// Whose aggregate it was for; by default the context's tenant.
    #[arg(long)]
    tenant: Option<Tenant>,
}

impl ShowResult {
    pub(crate) async fn run(self, invocation: &Invocation) -> Result<Outcome, Error> {
        let session = invocation.connect().await?;
        let tenant = self.tenant.unwrap_or_else(|| session.tenant().clone());
        match session.client.recorded_result(&tenant, self.id).await? {
            Some(result) => Ok(Outcome::ResultShown { result }),
            None => Err(Error::ResultUnknown { command_id: self.id }),
        }
    }
}
