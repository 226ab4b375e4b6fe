//! `nsl secret readers`

use std::path::PathBuf;

use clap::Args;
use nsl_client::Prepared;
use nsl_schemas::authority::Signed;
use nsl_schemas::secret::ReadersChange;
use nsl_schemas::token::AggregateId;
use uuid::Uuid;

use super::terms::Terms;
use super::{seeds, shown, signers};
use crate::error::Error;
use crate::outcome::{Outcome, SecretSealed};
use crate::session::{Invocation, Session};

/// Change who may read a secret.
#[derive(Debug, Args)]
pub(crate) struct Readers {
    /// The secret's name.
    secret: AggregateId,
    #[command(flatten)]
    terms: Terms,
    /// The seed file of a present owner; repeat it until the owners' quorum is met. By default the context's issuer signs.
    #[arg(long, value_name = "FILE")]
    owner_seed: Vec<PathBuf>,
    /// The id of a command that was sent before, to send it again.
    #[arg(long)]
    id: Option<Uuid>,
}

impl Readers {
    pub(crate) async fn run(self, invocation: &Invocation) -> Result<Outcome, Error> {
        let session = invocation.connect().await?;
        let (secret, id) = (self.secret.clone(), self.id);
        let subject = session.client.subject("secret", &secret, "set-readers")?;
        let prepared = match session.kept(id, &subject)? {
            Some(prepared) => prepared,
            None => self.prepare(&session).await?,
        };
        let result = session.deliver(&prepared).await?;
        let (from, limit) = (result.first_position, invocation.timeout());
        let tenant = session.tenant();
        let sealed = session.client.await_sealed(tenant, &secret, result.command_id, from, limit).await?;
        Ok(Outcome::SecretReadersChanged(SecretSealed::new(secret, &sealed, result)))
    }

    /// The owners sign over the hash of the policy that is shown: were it not the one in force, no worker would follow.
    async fn prepare(self, session: &Session<'_>) -> Result<Prepared, Error> {
        let Self { secret, terms, owner_seed, id } = self;
        let present = shown(session, &secret).await?;
        let change = ReadersChange {
            genesis_sha256: session.genesis()?.statement.sha256(),
            policy: terms.change_of(session.issuer()?.public(), &present.policy)?,
            previous_sha256: present.policy.sha256(),
            secret,
            tenant: session.tenant().clone(),
            version: present.version.saturating_add(1),
        };
        let owners = seeds(&owner_seed)?;
        let signed = Signed::sign(change, &signers(session, &owners)?);
        Ok(session.client.prepare_readers_change(id.unwrap_or_else(Uuid::now_v7), signed)?)
    }
}
