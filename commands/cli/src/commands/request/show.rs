//! `nsl request show`

use clap::Args;
use uuid::Uuid;

use super::find;
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
        Ok(Outcome::RequestShown(find(&session, self.request).await?))
    }
}
