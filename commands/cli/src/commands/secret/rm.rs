//! `nsl secret rm`

use std::path::PathBuf;

use clap::Args;
use nsl_schemas::authority::Signed;
use nsl_schemas::secret::SecretDestruction;
use nsl_schemas::token::AggregateId;
use uuid::Uuid;

use super::{seeds, signers};
use crate::error::Error;
use crate::outcome::Outcome;
use crate::session::Invocation;

/// Destroy a secret. Its name is not used again.
#[derive(Debug, Args)]
pub(crate) struct Rm {
    /// Its name.
    secret: AggregateId,
    /// The seed file of an owner; repeat it until the owners' quorum is met. By default the context's issuer signs.
    #[arg(long, value_name = "FILE")]
    owner_seed: Vec<PathBuf>,
    /// The id of a command that was sent before, to send it again.
    #[arg(long)]
    id: Option<Uuid>,
}

impl Rm {
    pub(crate) async fn run(self, invocation: &Invocation) -> Result<Outcome, Error> {
        let Self { secret, owner_seed, id } = self;
        let session = invocation.connect().await?;
        let subject = session.client.subject("secret", &secret, "destroy")?;
        let prepared = if let Some(prepared) = session.kept(id, &subject)? {
            prepared
        } else {
            let destruction = SecretDestruction {
                genesis_sha256: session.genesis()?.statement.sha256(),
                secret: secret.clone(),
                tenant: session.tenant().clone(),
            };
            let owners = seeds(&owner_seed)?;
            let signed = Signed::sign(destruction, &signers(&session, &owners)?);
            session.client.prepare_destruction(id.unwrap_or_else(Uuid::now_v7), signed)?
        };
        let result = session.deliver(&prepared).await?;
        Ok(Outcome::SecretDestroyed { secret, command: result.into() })
    }
}
