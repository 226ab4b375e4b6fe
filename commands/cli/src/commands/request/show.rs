//! `nsl request show`

use clap::Args;
use nsl_schemas::query::{ById, name};
use uuid::Uuid;

use crate::error::Error;
use crate::outcome::Outcome;
use crate::session::Invocation;

/// Show a signing request.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Its id, which is that of the command that asked.
    request: Uuid,
}

impl Show {
    pub(crate) async fn run(self, invocation: &Invocation) -> Result<Outcome, Error> {
        let session = invocation.connect().await?;
        let question = ById { id: self.request.to_string(), at_position: None };
        let request = session.client.query(session.tenant(), name::SIGNING_REQUEST, &question).await?;
        Ok(Outcome::RequestShown(request))
    }
}
