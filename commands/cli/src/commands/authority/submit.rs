//! `nsl authority submit`

use std::path::PathBuf;

use clap::Args;
use uuid::Uuid;

use super::signing::deliver;
use crate::error::Error;
use crate::files;
use crate::outcome::Outcome;
use crate::session::Invocation;

/// Deliver a statement with its signatures.
#[derive(Debug, Args)]
pub(crate) struct Submit {
    /// The statement, as another verb wrote it with --out.
    #[arg(value_name = "STATEMENT")]
    statement: PathBuf,
    /// The signatures, as `nsl authority sign` wrote them.
    #[arg(value_name = "SIGNATURE", required = true)]
    signatures: Vec<PathBuf>,
    /// The command's id, to send the same delivery again.
    #[arg(long)]
    id: Option<Uuid>,
}

impl Submit {
    pub(crate) async fn run(self, invocation: &Invocation) -> Result<Outcome, Error> {
        let statement = files::read_statement(&self.statement)?;
        let signatures =
            self.signatures.iter().map(|path| files::read_signature(path)).collect::<Result<_, _>>()?;
        let session = invocation.connect().await?;
        let operators = session.client.operators(&session.genesis()?.statement).await?;
        deliver(&session, statement, signatures, &operators, self.id).await
    }
}
