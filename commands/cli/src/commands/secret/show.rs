//! `nsl secret show`

use clap::Args;
use nsl_schemas::token::AggregateId;

use super::shown;
use crate::error::Error;
use crate::outcome::Outcome;
use crate::session::Invocation;

/// Show a secret's policy and version.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Its name.
    secret: AggregateId,
}

impl Show {
    pub(crate) async fn run(self, invocation: &Invocation) -> Result<Outcome, Error> {
        let session = invocation.connect().await?;
        Ok(Outcome::SecretShown(Box::new(shown(&session, &self.secret).await?)))
    }
}
